#!/usr/bin/env bash
# Builds the real programs that the `stack` tests run against, at pinned versions, into .tools/bin.
#   scripts/stack_tools.sh          build what is missing or out of date
#   scripts/stack_tools.sh lock     write collector/go.mod and collector/go.sum anew from collector/builder.yaml
# Needs Go and the Go module proxy; nothing is installed outside the repository but Go's own caches. The servers come last, from
# scripts/stack_servers.sh, which can be run alone.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
bin=$root/.tools/bin
build=$root/.tools/build
stamps=$root/.tools/stamps
required_go=1.25

# A toolchain that downloads itself, or flags of the machine, would make the build depend on where it runs.
export GOTOOLCHAIN=local GOFLAGS=-buildvcs=false CGO_ENABLED=0

fail() {
    echo "stack-tools: $*" >&2
    exit 1
}

need_go() {
    command -v go >/dev/null || fail "Go >= $required_go is needed to build the stack's programs, and there is no 'go' on the PATH. Install it, or leave the stack tests skipped."
    local version
    version=$(go env GOVERSION | sed 's/^go//')
    [ "$(printf '%s\n%s\n' "$required_go" "$version" | sort -V | head -n 1)" = "$required_go" ] ||
        fail "Go >= $required_go is needed to build the stack's programs; $(command -v go) is $version."
}

collector_version() {
    sed -n 's/^  version: //p' collector/builder.yaml
}

generate_collector_sources() {
    need_go
    GOBIN=$build/tools go install "go.opentelemetry.io/collector/cmd/builder@v$(collector_version)"
    rm -rf "$build/otelcol"
    # The builder would run `go mod tidy`, which also resolves what the tests of the components need. Nothing of that is part of the
    # program, so the lock files beside the manifest take tidy's place.
    "$build/tools/builder" --skip-get-modules --skip-compilation --config collector/builder.yaml >"$build/builder.log" 2>&1 ||
        fail "the Collector builder failed: $(tail -n 5 "$build/builder.log")"
}

build_otelcol() {
    generate_collector_sources
    cp collector/go.mod collector/go.sum "$build/otelcol/"
    (cd "$build/otelcol" && go build -mod=readonly -trimpath -ldflags="-s -w" -o "$bin/otelcol" .)
    "$bin/otelcol" --version
}

lock_otelcol() {
    mkdir -p "$build"
    generate_collector_sources
    local version
    version=$(collector_version)
    (
        cd "$build/otelcol"
        go mod init langmeter.dev/otelcol
        sed -n 's/.*gomod: \([^ ]*\) \(v[^ ]*\).*/-require=\1@\2/p' "$root/collector/builder.yaml" | xargs go mod edit -go=1.25.0
        go mod edit "-require=go.opentelemetry.io/collector/otelcol@v$version"
        go build -mod=mod -trimpath -ldflags="-s -w" -o /dev/null .
        cp go.mod go.sum "$root/collector/"
    )
}

# ensure PROGRAM BUILD_FUNCTION INPUT…: builds unless .tools/bin has the program made from exactly these inputs.
ensure() {
    local program=$1 build_function=$2 stamp
    shift 2
    stamp=$stamps/$program-$(cat "$@" scripts/stack_tools.sh | sha256sum | cut -c1-16)
    if [ -x "$bin/$program" ] && [ -e "$stamp" ]; then
        echo "stack-tools: $program is up to date"
        return
    fi
    echo "stack-tools: building $program"
    rm -f "$stamps/$program"-*
    "$build_function"
    touch "$stamp"
}

if [ "${1:-}" = lock ]; then
    lock_otelcol
    exit
fi
[ $# -eq 0 ] || fail "unknown argument '$1'; known: lock"
mkdir -p "$bin" "$build" "$stamps"
ensure otelcol build_otelcol collector/builder.yaml collector/go.mod collector/go.sum
# Prometheus, promtool and Tempo: one build function and one `ensure` line each, here.
scripts/stack_servers.sh
