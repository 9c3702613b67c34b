#!/usr/bin/env bash
# The page in a real browser, against three replicas. Installs what it needs: Debian's chromium (as root), and
# playwright-core and axe-core from npm, below build/ui.
#
#   tests/ui/run.sh [--only PART-OF-A-NAME] [--churn SECONDS] [--bin FOLDER]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

only="" churn=0 bin=build/release
while (($#)); do
    case $1 in
    --only) only=$2 && shift 2 ;;
    --churn) churn=$2 && shift 2 ;;
    --bin) bin=$2 && shift 2 ;;
    *) sed -n '2,5p' "$0" && exit 2 ;;
    esac
done

if [[ $bin == build/release ]]; then
    cmake --preset release >/dev/null
    nice cmake --build --preset release --target musterd muster
fi

chromium=${CHROMIUM:-$(command -v chromium || true)}
if [[ -z $chromium || -z $(command -v node || true) || -z $(command -v npm || true) ]]; then
    packages=(chromium fonts-dejavu-core)
    command -v node >/dev/null || packages+=(nodejs)
    command -v npm >/dev/null || packages+=(npm) # not beside a nodejs that has its own
    ((EUID == 0)) || { echo "install these packages: ${packages[*]}"; exit 1; }
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends "${packages[@]}"
    chromium=$(command -v chromium)
fi

mkdir -p build/ui/pictures
cp tests/ui/package.json build/ui/
if [[ ! -d build/ui/node_modules/playwright-core || ! -d build/ui/node_modules/axe-core ]]; then
    (cd build/ui && PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1 npm install --no-fund --no-audit --loglevel=error)
fi

CHROMIUM=$chromium MUSTER_BIN=$PWD/$bin UI_BUILD=$PWD/build/ui UI_ONLY=$only UI_CHURN_S=$churn \
    node tests/ui/main.mjs
