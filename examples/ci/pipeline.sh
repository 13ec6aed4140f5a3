#!/usr/bin/env bash
# From training to deployment: train, gate and sign, verify.  It needs wfbt[rl] and openssl.
#
#   examples/ci/pipeline.sh [FOLDER]      works in FOLDER, or in a new one
#
# It ends at the first command that does not exit 0, with that exit code: 1 FAIL, 3 REFUSED, 4 INCONCLUSIVE.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
folder=${1:-$(mktemp -d)}
mkdir -p "$folder"
cp "$here/strategy.yaml" "$here/criteria.yaml" "$folder"
cd "$folder"

# In life: the data are there, and whoever may sign made a key once.  CI holds the private half as a secret, the
# public half lies where models are deployed.
python "$here/market.py" market.parquet
if [[ ! -e signer.pem ]]; then
  (umask 077 && openssl genpkey -algorithm ed25519 -out signer.pem)
fi
openssl pkey -in signer.pem -pubout -out signer.pub

# The last line that training prints is the network of the last rows: the one to deploy.
model=$(wfbt train strategy.yaml --quiet | tail -n 1)

# Nobody has looked at these days before, as they have just been made.  On data that anybody knows leave --first-look
# out and hand reports/trials.sqlite on from job to job.
wfbt gate "$model" --strategy strategy.yaml --criteria criteria.yaml --first-look --sign signer.pem \
  --no-report --out reports

# The deployer's side: nothing that it is given was changed since, and the verdict is in force and passes.
wfbt verify reports/verdict.json "$model" --key signer.pub --strategy strategy.yaml --criteria criteria.yaml \
  --data market.parquet --trials reports/trials.sqlite
