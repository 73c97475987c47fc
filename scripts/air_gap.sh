#!/usr/bin/env bash
# Writes everything that a machine without a network needs: wheels, weights, a bill of materials, checksums, an installer.
# Usage: air_gap.sh FOLDER [sbom]     with "sbom" only the bill of materials and the checksums (quick; what tests run)
#
# Runs on a machine with a network, of the same system, processor and Python as the one that it is for. The wheels are
# those of constraints.txt; TORCH_INDEX names another index for torch, such as PyTorch's CPU builds. PYTHON is the
# interpreter of the environment in which Deepscreen is installed (default: .venv).
set -euo pipefail
folder="${1:?Usage: air_gap.sh FOLDER [sbom]}"
only="${2:-all}"
root="$(cd "$(dirname "$0")/.." && pwd)"
python="${PYTHON:-$root/.venv/bin/python}"
mkdir -p "$folder"
folder="$(cd "$folder" && pwd)"

bill_of_materials() {
    "$python" -m cyclonedx_py environment --pyproject "$root/pyproject.toml" --output-reproducible --no-validate \
        --spec-version 1.6 --of JSON -o "$folder/sbom.cdx.json" "$python"
}

wheels() {
    local pip=("$python" -m pip --disable-pip-version-check)
    "${pip[@]}" wheel --no-deps --wheel-dir "$folder/wheels" "$root"
    if [ -n "${TORCH_INDEX:-}" ]; then
        "${pip[@]}" download -d "$folder/wheels" -c "$root/constraints.txt" --index-url "$TORCH_INDEX" torch torchvision
    fi
    "${pip[@]}" download -d "$folder/wheels" -c "$root/constraints.txt" --find-links "$folder/wheels" --only-binary :all: \
        "deepscreen[s3]"
}

weights() {
    "$python" -m deepscreen weights bundle "$folder/weights.tar"
}

installer() {
    cat >"$folder/install.sh" <<'END'
#!/usr/bin/env bash
# Proves the bundle and installs it into a new environment, without a network. Usage: install.sh FOLDER
set -euo pipefail
target="${1:?Usage: install.sh FOLDER}"
here="$(cd "$(dirname "$0")" && pwd)"
(cd "$here" && sha256sum --quiet --check SHA256SUMS)
# pip would take a newer wheel that somebody put beside the others.
unlisted="$(
    export LC_ALL=C
    comm -13 <(cut -c67- "$here/SHA256SUMS" | sort) <(cd "$here" && find . ! -type d ! -path ./SHA256SUMS | sort)
)"
if [ -n "$unlisted" ]; then
    echo "Not in SHA256SUMS, so not of this bundle: $unlisted" >&2
    exit 1
fi
"${PYTHON:-python3}" -m venv "$target"
"$target/bin/pip" install --disable-pip-version-check --no-index --find-links "$here/wheels" 'deepscreen[s3]'
"$target/bin/deepscreen" weights import "$here/weights.tar"
"$target/bin/deepscreen" info
END
    chmod +x "$folder/install.sh"
}

checksums() {
    (cd "$folder" && find . -type f ! -name SHA256SUMS -print0 | sort -z | xargs -0 sha256sum >SHA256SUMS)
}

if [ "$only" = all ]; then
    wheels
    weights
fi
bill_of_materials
installer
checksums
echo "$folder: $(wc -l <"$folder/SHA256SUMS") files. Copy it over, compare SHA256SUMS by another way, run install.sh there."
