"""Write the bill of each image: ``python -m sbom FOLDER``."""

import sys
from pathlib import Path

from sbom import locks
from sbom.bill import bill, environment, text


def main() -> None:
    folder, root = Path(sys.argv[1]), Path(__file__).parents[2]
    folder.mkdir(parents=True, exist_ok=True)
    installed = environment(root)
    for image in locks.IMAGES:
        content, path = bill(root, image, installed), folder / f"{image}.cdx.json"
        path.write_text(text(content))
        print(f"{path}: {len(content['components'])} packages")  # noqa: T201


if __name__ == "__main__":
    main()
