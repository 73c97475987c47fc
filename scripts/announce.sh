#!/usr/bin/env bash
# Says before a long step how much it downloads and what it waits for.
# Usage: announce.sh packages default|cpu   or   announce.sh weights
set -euo pipefail

case "$1" in
packages)
    if [ "${2:-default}" = cpu ]; then
        echo "Installing Deepscreen into .venv: about 0.6 GB of packages (CPU build of PyTorch), needs 2 GB of disk."
    elif [ "$(uname -s)" = Linux ]; then
        echo "Installing Deepscreen into .venv: about 3.3 GB of packages (PyTorch with CUDA), needs 7 GB of disk."
        echo "No NVIDIA GPU here? Stop (Ctrl-C) and use 'make demo TORCH=cpu': about 0.6 GB."
    else
        echo "Installing Deepscreen into .venv: about 0.6 GB of packages."
    fi
    echo "Waiting for pip; a few minutes on a fast line. This is done once."
    ;;
weights)
    echo "Weights: what is missing is pulled once (about 240 MB in all), converted and proven by sha256."
    ;;
*)
    echo "announce.sh: unknown step '$1'; allowed: packages, weights" >&2
    exit 2
    ;;
esac
