"""Does memory grow with the study? Peak resident memory for 100 and for 2,000 pictures, each in a fresh process.

    python tests/bench/memory.py [--few 100] [--many 2000] [--steps 2]

The last line is JSON.
"""

import argparse
import json
import subprocess
import sys
import tempfile

STUDY = """
import resource, sys
import synth
from synth.presets import advised
out, pictures, steps = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
settings = advised("vignettes").but(steps=steps)
synth.study(prompts=["a red castle by the sea"], seeds=pictures, settings=settings, out=out, yes=True, progress=False)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def peak_megabytes(pictures: int, steps: int) -> float:
    """Peak resident memory of a study of so many pictures, in MiB."""
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, "-c", STUDY, out, str(pictures), str(steps)]
        return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--few", type=int, default=100)
    parser.add_argument("--many", type=int, default=2000)
    parser.add_argument("--steps", type=int, default=2)
    options = parser.parse_args()
    few, many = (peak_megabytes(count, options.steps) for count in (options.few, options.many))
    print(f"{options.few} pictures: {few:.0f} MiB; {options.many} pictures: {many:.0f} MiB")
    print(json.dumps({"few_mib": round(few), "many_mib": round(many), "growth_mib": round(many - few)}))


if __name__ == "__main__":
    main()
