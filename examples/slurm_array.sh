#!/bin/bash
# A learning-rate sweep over three sizes as a Slurm array: sbatch examples/slurm_array.sh
#
# Compute nodes need no network: without SCALEDASH_URL every run is kept under SCALEDASH_DIR, and
# `scaledash sync --live "$SCALEDASH_DIR"/*` on a login node sends it, also while the jobs run.
# A requeued task goes on in the run that it began (resume="auto" knows job and task).
#SBATCH --job-name=lr-sweep
#SBATCH --array=0-14
#SBATCH --time=00:10:00
#SBATCH --requeue
#SBATCH --signal=B:TERM@60

export SCALEDASH_DIR="${SCALEDASH_DIR:-$HOME/scaledash-runs}"
cd "${SLURM_SUBMIT_DIR:-.}" || exit 1
exec python examples/slurm_array.py
