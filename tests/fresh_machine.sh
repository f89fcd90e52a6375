#!/usr/bin/env bash
# Proves the set-up on a machine where nothing lies about: `make fresh`.
#
#   tests/fresh_machine.sh [--debian 12|13] [make-target]
#
# Makes a root file system with debootstrap (minbase and the packages below, nothing else), brings a clone of HEAD
# into it, and runs `make demo` (or another target) there. From this machine it takes the settings of pip and apt,
# the certificates and the resolver; nothing that is installed here. Needs root on Debian or Ubuntu.
# What debootstrap made is kept by its list of packages in FRESH_CACHE_DIR.
set -euo pipefail
cd "$(dirname "$0")/.."

BASE_PACKAGES="make git ca-certificates python3 python3-venv"

say() { echo "fresh: $*"; }
give_up() { echo "fresh: $*" >&2; exit 1; }

debian=12
[ "${1:-}" = --debian ] && { debian="${2:-}"; shift 2; }
case "$debian" in
    12) suite=bookworm ;;
    13) suite=trixie ;;
    *) give_up "unknown Debian release '$debian': use 12 or 13" ;;
esac
what="${1:-demo}"

[ "$(id -u)" = 0 ] || give_up "must be root: debootstrap and chroot need it. Try: sudo make fresh"
sandbox/install-system-packages.sh fresh
unshare --mount --pid --fork true 2>/dev/null ||
    give_up "this machine does not allow new mount namespaces (in a container, CAP_SYS_ADMIN is needed)"
[ -e "/usr/share/debootstrap/scripts/$suite" ] ||
    give_up "this machine's debootstrap does not know Debian $debian ($suite): install a newer debootstrap"

# -- the mirrors that apt uses here -------------------------------------------------------------------

# One line per source: KIND URI, where KIND is "main" or "security".
mirrors() {
    apt-get indextargets --format '$(SITE) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' 2>/dev/null |
        awk '$3 == "main" && $2 ~ /^(stable|bookworm|trixie|bullseye|sid|forky)(-security)?$/ \
             { print ($2 ~ /-security$/ ? "security" : "main"), $1 }' | sort -u
}
main_mirror="$(mirrors | awk '$1 == "main" { print $2; exit }')"
security_mirror="$(mirrors | awk '$1 == "security" { print $2; exit }')"
[ -n "$main_mirror" ] || give_up "no Debian mirror found in this machine's apt sources: run apt-get update"

# -- the base file system -----------------------------------------------------------------------------

cache="${FRESH_CACHE_DIR:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/genesys-ad-sync-fresh}"
mkdir -p "$cache"
name="$suite-$(printf '%s' "$suite $BASE_PACKAGES" | sha256sum | cut -c1-16)"
base="$cache/$name.tar"
workshop="$(mktemp -d "${TMPDIR:-/tmp}/fresh-machine-XXXXXX")"
root="$workshop/root"
clean_up() {
    status=$?
    trap - EXIT
    rm -rf --one-file-system "$workshop"
    [ $status = 0 ] || say "FAILED (exit $status) after $SECONDS s; nothing is left in $workshop"
    exit $status
}
trap clean_up EXIT
trap 'exit 130' INT TERM HUP

if [ -e "$base" ]; then
    say "Debian $debian: base file system from $base"
    mkdir "$root"
    tar -xf "$base" -C "$root"
else
    say "Debian $debian: making the base file system ($BASE_PACKAGES)"
    # In a mount namespace of its own: what debootstrap mounts goes with it, also when it fails.
    unshare --mount --pid --fork --kill-child debootstrap --variant=minbase \
        --include="$(echo "$BASE_PACKAGES" | tr ' ' ,)" "$suite" "$root" "$main_mirror" >"$workshop/log" 2>&1 ||
        { tail -n 20 "$workshop/log" >&2; give_up "debootstrap failed: see its messages above"; }
    tar -cf "$base.$$" --exclude=./var/cache/apt/archives/*.deb -C "$root" .
    mv "$base.$$" "$base"
fi

# -- settings of this machine -------------------------------------------------------------------------

bring() { # bring FILE-OR-FOLDER: the same path in the new root
    [ -e "$1" ] || return 0
    mkdir -p "$root$(dirname "$1")"
    cp -aL --no-target-directory "$1" "$root$1"
}
for path in /etc/resolv.conf /etc/hosts /etc/pip.conf /etc/xdg/pip "${HOME:-/root}/.config/pip" "${HOME:-/root}/.pip" \
    /etc/uv /etc/apt/auth.conf /etc/apt/auth.conf.d /usr/local/share/ca-certificates; do
    bring "$path"
done
for file in /etc/apt/apt.conf /etc/apt/apt.conf.d/*; do
    # Docker's images delete what apt downloads and refuse translations: such files are about that image alone.
    case "$file" in *docker* | *packagekit* | *appstream*) ;; *) bring "$file" ;; esac
done
bring /etc/ssl/certs/ca-certificates.crt
{
    echo "deb $main_mirror $suite main"
    echo "deb $main_mirror $suite-updates main"
    [ -z "$security_mirror" ] || echo "deb $security_mirror $suite-security main"
} >"$root/etc/apt/sources.list"
settings=()
while IFS= read -r -d '' entry; do
    case "${entry%%=*}" in
        PIP_* | UV_* | SSL_CERT_* | CURL_CA_BUNDLE | REQUESTS_CA_BUNDLE | GIT_SSL_CAINFO | \
            [Hh][Tt][Tt][Pp]_[Pp][Rr][Oo][Xx][Yy] | [Hh][Tt][Tt][Pp][Ss]_[Pp][Rr][Oo][Xx][Yy] | [Nn][Oo]_[Pp][Rr][Oo][Xx][Yy])
            settings+=("$entry") ;;
    esac
done < <(env -0)

git clone -q "file://$PWD" "$root/src"
say "Debian $debian: make $what at $(git rev-parse --short HEAD), in $root"

# -- the proof ----------------------------------------------------------------------------------------

# The namespaces end with their first process, and with them every mount and every process that was left.
# shellcheck disable=SC2016  # expanded by the inner shell
unshare --mount --pid --fork --kill-child bash -euc '
    root="$1"; shift
    mount --make-rprivate /
    mount -t proc proc "$root/proc"
    mount -t tmpfs -o mode=755 dev "$root/dev"
    for node in null zero full random urandom tty; do
        touch "$root/dev/$node"; mount --bind "/dev/$node" "$root/dev/$node"
    done
    mkdir "$root/dev/pts" "$root/dev/shm"
    mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts "$root/dev/pts"
    mount -t tmpfs -o mode=1777 shm "$root/dev/shm"
    ln -s pts/ptmx "$root/dev/ptmx"; ln -s /proc/self/fd "$root/dev/fd"
    mount -t tmpfs -o mode=755 run "$root/run"
    mount -t tmpfs -o mode=1777 tmp "$root/tmp"
    exec chroot "$root" /usr/bin/env -i "$@"
' fresh "$root" PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 \
    ${settings[@]+"${settings[@]}"} make -C /src "$what" </dev/null
say "Debian $debian: make $what is green, $SECONDS s"
