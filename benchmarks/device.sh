#!/usr/bin/env bash
# Proves or disproves the GPU path on this machine's card, in at most 8 minutes.
#
#     benchmarks/device.sh                    # all sections but `tune`
#     benchmarks/device.sh kernels            # one of them
#     benchmarks/device.sh kernels=300 warm   # two, the first with 300 seconds
#     benchmarks/device.sh tune               # choose kernels/tiles.json anew
#     DEVICE=cpu benchmarks/device.sh         # a rehearsal without a card, on small shapes
#
# Each section has a time limit, writes what it finds to ${OUT:-docs/benchmarks/gpu}/SECTION.json
# as it goes, and stops no other. The exit status is 0 if every section was run, and right.
#
# Needs no installation: Python (PYTHON, else python3) with torch, Triton, NumPy and transformers;
# none of them is fetched. The section `server` needs what `nestling serve` and `nestling loadtest`
# import beside those. What is missing may lie as wheels in the folder .whl of the checkout; fill it
# where there is a network, for the Python of the machine with the card, with all names of WHEELS:
#
#     . <(sed -n '/^WHEELS=(/,/^)/p' benchmarks/device.sh)
#     python3 -m pip download --no-deps --only-binary=:all: --python-version 3.12 \
#         --platform manylinux_2_28_x86_64 --platform manylinux2014_x86_64 \
#         -c constraints.txt -d .whl "${WHEELS[@]}"
WHEELS=(
    alembic annotated-types fastapi fastapi-swagger httptools mako mmh3 opentelemetry-api orjson
    pydantic pydantic-core sqlalchemy starlette typing-extensions typing-inspection uvicorn
)
set -u
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
cd "$ROOT" || exit 1
PYTHON=${PYTHON:-python3}
DEVICE=${DEVICE:-cuda}
OUT=${OUT:-docs/benchmarks/gpu}
mkdir -p "$OUT" || exit 1
OUT=$(cd "$OUT" && pwd -P)

SECTIONS=(machine=30 warm=75 correctness=80 memcheck=50 kernels=90 cascades=75 server=75)
ALONE=(small=60 tune=420)  # only when they are named
WHOLE=470  # seconds of all sections together, if none is named
GRACE=8    # seconds before its limit at which a section begins nothing more

WORK=$(mktemp -d) || exit 1
trap 'rm -rf "$WORK"' EXIT

end_section() {  # the one that runs, if one does
    local timeout
    # The shell's own list has it from its start; a variable set in the next line comes too late.
    timeout=$(jobs -pr)
    if [ -z "$timeout" ]; then return; fi
    # `timeout` leads a group of processes of its own, which nothing else reaches. A signal that finds
    # it in its fork ends it without its child (GNU coreutils 9.1), so the group is told, and not it.
    kill -- "-$timeout" 2>/dev/null || kill "$timeout"
    wait "$timeout"
    kill -KILL -- "-$timeout" 2>/dev/null
}
trap 'end_section; exit 130' INT TERM

# The package `nestling`: the tree's rooms, and what tells its version. `benchmarks` lies beside it;
# the checkout itself is not on the path, for its room `kernels` would pass for a package that
# transformers looks for.
SITE=$WORK/site
VERSION=$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml | head -1)
mkdir -p "$SITE/nestling" "$SITE/nestling-$VERSION.dist-info"
for init in */__init__.py; do
    room=${init%/__init__.py}
    case $room in
        benchmarks) ln -s "$ROOT/$room" "$SITE/$room" ;;
        tests) ;;
        *) ln -s "$ROOT/$room" "$SITE/nestling/$room" ;;
    esac
done
printf 'Metadata-Version: 2.1\nName: nestling\nVersion: %s\n' "$VERSION" \
    >"$SITE/nestling-$VERSION.dist-info/METADATA"
export PYTHONPATH=$SITE PYTHONSAFEPATH=1 PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
unset TRITON_INTERPRET
export TRITON_CACHE_DIR=$WORK/triton TORCHINDUCTOR_CACHE_DIR=$WORK/inductor
mkdir -p "$TRITON_CACHE_DIR" "$TORCHINDUCTOR_CACHE_DIR"

compiled() {  # kernels of ours in Triton's cache; those of torch's compiler begin with triton_
    find "$TRITON_CACHE_DIR" -name '*.cubin' ! -name 'triton_*' | wc -l
}

bring_wheels() {  # for the server alone, so that nothing else sees them
    compgen -G "$ROOT/.whl/*.whl" >/dev/null || return 0
    "$PYTHON" -m pip install -q --no-index --no-deps --no-compile --no-cache-dir \
        --disable-pip-version-check --root-user-action ignore --target "$WORK/wheels" "$ROOT"/.whl/*.whl
    export PYTHONPATH=$SITE:$WORK/wheels
}

run() {  # SECTION LIMIT: run it, and write a line to the log
    local section=$1 limit=$2 begun before status
    local left=$((WHOLE - SECONDS))
    if ((NAMED == 0 && left < limit)); then limit=$((left > 1 ? left : 1)); fi
    rm -f "$OUT/$section.json"
    echo "== $section, at most $limit s"
    begun=$(date +%s.%N)
    before=$(compiled)
    (
        if [ "$section" = server ]; then bring_wheels; fi
        # A rehearsal runs kernels in Triton's interpreter, which compiles nothing ahead.
        if [ "$DEVICE" = cpu ] && [ "$section" != warm ]; then export TRITON_INTERPRET=1; fi
        exec timeout -k 5 "$limit" "$PYTHON" -m benchmarks.kernels "$section" --out "$OUT" \
            --device "$DEVICE" --seconds $((limit > 2 * GRACE ? limit - GRACE : limit / 2))
    ) &
    wait $!
    status=$?
    rm -f "$OUT/$section.part"
    echo "$section $status $(date +%s.%N) $begun $(($(compiled) - before))" |
        awk '{ printf "%s %d %.1f %d\n", $1, $2, $3 - $4, $5 }' >>"$WORK/log"
}

NAMED=$#
if ((NAMED == 0)); then set -- "${SECTIONS[@]}"; fi
for given in "$@"; do
    limit=
    for known in "${SECTIONS[@]}" "${ALONE[@]}"; do
        if [ "${given%%=*}" = "${known%%=*}" ]; then limit=${known#*=}; fi
    done
    case $given in
        *=*) limit=${limit:+${given#*=}} ;;
    esac
    if ! [[ $limit =~ ^[1-9][0-9]*$ ]]; then
        echo "$given: a section, or SECTION=SECONDS; sections are" \
            "${SECTIONS[*]%%=*} ${ALONE[*]%%=*}" >&2
        exit 2
    fi
    run "${given%%=*}" "$limit"
done
"$PYTHON" -m benchmarks.kernels summary --out "$OUT" <"$WORK/log"
