# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
#
# What the front-door scripts and the Makefile share: the one list of Debian
# packages, and where Debian's kernel is found. Sourced, never run.
#
# Nothing here changes the host's kernel: where no Debian kernel is installed,
# its package is downloaded and unpacked into the cache, not installed.

zk_note() { printf '%s\n' "$*" >&2; }
zk_die() { printf '%s: %s\n' "${0##*/}" "$*" >&2; exit 1; }

# --- packages ---------------------------------------------------------------

# To build the programs and the module (plain make).
ZK_PKGS_BUILD="
	gcc make libc6-dev pkg-config linux-headers-amd64 pahole libbpf-dev libelf-dev perl
	xz-utils kmod
	liburcu-dev libjemalloc-dev zlib1g-dev libdeflate-dev libsnappy-dev libsodium-dev libssl-dev
	libnl-3-dev libnl-genl-3-dev libjansson-dev libsystemd-dev libmicrohttpd-dev"

# To boot the VM with the first session, besides.
ZK_PKGS_RUN="$ZK_PKGS_BUILD
	qemu-system-x86 busybox-static python3 python3-kazoo"

# For make install, besides.
ZK_PKGS_INSTALL="$ZK_PKGS_BUILD dkms"

# What the tests need besides: the control (Apache ZooKeeper with its clients),
# checkers, the 32-bit compiler for the 32-bit callers of the device, and what
# the upstream suites want (kazoo's own tests; Curator).
ZK_PKGS_TEST="
	python3-pytest python3-pytest-timeout python3-mock python3-objgraph
	python3-gevent python3-eventlet
	python3-jpype libcurator-recipes-java libcurator-discovery-java
	clang bpftool gcc-multilib libcmocka-dev sparse iproute2 e2fsprogs dmsetup mandoc
	zookeeper libzookeeper-java libzookeeper-mt-dev default-jre-headless
	openjdk-17-jdk-headless
	libjetty9-java libservlet-api-java python3-prometheus-client"

# What `make suites` needs besides: to fetch and build the C client's own tests.
ZK_PKGS_SUITES="$ZK_PKGS_TEST dpkg-dev g++ libcppunit-dev"

# What `make debug-kernel` needs besides: Debian's source, and to build a kernel of it.
ZK_PKGS_DEBUG_KERNEL="
	linux-source-6.1 gcc make libc6-dev pahole perl xz-utils kmod flex bison bc libelf-dev
	libssl-dev python3 cpio"

# To test with Debian's other kernels (tools/vm/on), besides; their headers go by version.
ZK_PKGS_KERNELS="$ZK_PKGS_BUILD lz4"

# zk_have_pkg NAME: true when the package is installed.
zk_have_pkg() {
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# zk_root CMD...: run as root, through sudo when we are not.
zk_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif command -v sudo >/dev/null 2>&1; then
		sudo "$@"
	else
		zk_die "needs root or sudo to install packages: $*"
	fi
}

# zk_install PACKAGE...: install what is missing; no apt at all when nothing is.
zk_install() {
	zk_missing=
	for zk_p in "$@"; do
		zk_have_pkg "$zk_p" || zk_missing="$zk_missing $zk_p"
	done
	[ -n "$zk_missing" ] || return 0
	command -v apt-get >/dev/null 2>&1 ||
		zk_die "missing packages, and no apt-get to install them:$zk_missing"
	zk_note "installing:$zk_missing"
	# shellcheck disable=SC2086
	{ ls /var/lib/apt/lists/*_Packages* >/dev/null 2>&1 && zk_apt $zk_missing; } || {
		zk_root apt-get -q update >&2 || zk_die "apt-get update failed"
		# shellcheck disable=SC2086
		zk_apt $zk_missing || zk_die "apt-get could not install:$zk_missing"
	}
}

zk_apt() {
	zk_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y \
		--no-install-recommends install "$@" >&2
}

# --- Debian's kernel --------------------------------------------------------

# zk_cache: the cache folder (made when missing), outside the source tree.
zk_cache() {
	zk_c=${XDG_CACHE_HOME:-$HOME/.cache}/zkern
	mkdir -p "$zk_c" && printf '%s\n' "$zk_c"
}

# zk_kver: the kernel version that the module is built for: the running one if
# it is Debian 12's and has headers, else the newest installed headers.
zk_kver() {
	if [ -n "${KVER:-}" ]; then
		printf '%s\n' "$KVER"
		return
	fi
	zk_v=$(uname -r)
	case $zk_v in
	6.1.0-*-amd64)
		[ -d "/usr/src/linux-headers-$zk_v" ] && { printf '%s\n' "$zk_v"; return; } ;;
	esac
	for zk_d in /usr/src/linux-headers-6.1.0-*[0-9]-amd64; do
		[ -d "$zk_d" ] && printf '%s\n' "${zk_d#/usr/src/linux-headers-}"
	done | sort -V | tail -n 1
}

# zk_kernel_root KVER: the folder below which boot/vmlinuz-KVER and
# lib/modules/KVER are: empty (the root) when Debian's package is installed,
# else the cache, filled with apt-get download on first use.
zk_kernel_root() {
	[ -f "/boot/vmlinuz-$1" ] && [ -d "/lib/modules/$1/kernel" ] && { echo; return; }
	zk_kr=$(zk_cache)/image-$1
	[ -f "$zk_kr/boot/vmlinuz-$1" ] && { printf '%s\n' "$zk_kr"; return; }
	zk_note "fetching linux-image-$1 (unpacked into the cache, not installed)"
	zk_t=$(mktemp -d "$(zk_cache)/fetch.XXXXXX") || return 1
	if zk_download "$zk_t" "linux-image-$1" &&
	   dpkg-deb -x "$zk_t"/*.deb "$zk_t/root" &&
	   PATH=$PATH:/usr/sbin:/sbin depmod -b "$zk_t/root" "$1" &&
	   mv -T "$zk_t/root" "$zk_kr"; then
		zk_s=0
	else
		zk_note "cannot fetch the package linux-image-$1"
		zk_s=1
	fi
	rm -rf "$zk_t"
	[ $zk_s = 0 ] && printf '%s\n' "$zk_kr"
}

# zk_download DIR PACKAGE: put the .deb into DIR; updates the lists if needed.
zk_download() (
	cd "$1" || exit 1
	apt-get -q -o APT::Sandbox::User=root download "$2" >&2 && exit 0
	zk_root apt-get -q update >&2 &&
		apt-get -q -o APT::Sandbox::User=root download "$2" >&2
)

# zk_vmlinuz KVER: the path of the compressed kernel image.
zk_vmlinuz() {
	zk_r=$(zk_kernel_root "$1") && printf '%s\n' "$zk_r/boot/vmlinuz-$1"
}

# zk_vmlinux KVER: the path of the unpacked kernel, made on first use. It is
# what the module's BTF is built against, and what the VM boots (QEMU enters it
# directly, which saves the guest the unpacking: seconds under emulation).
#
# A bzImage says itself where its payload is (Documentation/x86/boot.rst): at
# (setup_sects + 1) * 512 + payload_offset; Debian's is an xz stream (the cloud
# kernel's: lz4) followed by four bytes of length.
zk_vmlinux() {
	zk_z=$(zk_vmlinuz "$1") || return 1
	zk_x=$(zk_cache)/vmlinux-$1-$(cksum <"$zk_z" | tr ' ' -)
	[ -f "$zk_x" ] && { printf '%s\n' "$zk_x"; return; }
	zk_ss=$(od -An -tu1 -j497 -N1 "$zk_z" | tr -d ' ')
	zk_po=$(od -An -tu4 -j584 -N4 "$zk_z" | tr -d ' ')
	zk_pl=$(od -An -tu4 -j588 -N4 "$zk_z" | tr -d ' ')
	zk_o=$(((zk_ss + 1) * 512 + zk_po))
	case $(od -An -tx1 -j$zk_o -N4 "$zk_z" | tr -d ' ') in
	02214c18) zk_un='lz4 -dc' ;;
	*) zk_un='xz -dc' ;;
	esac
	if tail -c +$((zk_o + 1)) "$zk_z" | head -c $((zk_pl - 4)) |
	   $zk_un >"$zk_x.$$" && mv "$zk_x.$$" "$zk_x"; then
		printf '%s\n' "$zk_x"
	else
		rm -f "$zk_x.$$"
		zk_note "cannot unpack $zk_z"
		return 1
	fi
}

# zk_checkpatch: the path of checkpatch.pl, unpacked from linux-source-6.1.
zk_checkpatch() {
	zk_cp=$(zk_cache)/checkpatch
	if [ ! -f "$zk_cp/linux-source-6.1/scripts/checkpatch.pl" ]; then
		zk_install linux-source-6.1 perl || return 1
		mkdir -p "$zk_cp" &&
		tar -C "$zk_cp" -xJf /usr/src/linux-source-6.1.tar.xz \
			linux-source-6.1/scripts/checkpatch.pl \
			linux-source-6.1/scripts/spelling.txt \
			linux-source-6.1/scripts/const_structs.checkpatch || return 1
	fi
	printf '%s\n' "$zk_cp/linux-source-6.1/scripts/checkpatch.pl"
}
