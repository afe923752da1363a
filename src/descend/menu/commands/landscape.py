"""`descend landscape`: the loss over a plane through a network's parameters, with the paths of runs."""

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from descend.atomic import whole
from descend.errors import ConfigurationError
from descend.landscapes.landscape import Landscape
from descend.menu.commands.arguments import Parser
from descend.menu.landscapes import View, landscape_of
from descend.output.pictures.figure import png
from descend.output.sinks.progress import CountBar
from descend.output.sinks.tensorboard import add_image

USAGE = """\
descend landscape FOLDER… [plane=pca|hessian|random] [points=41] [examples=1000] [scale=filter|whole]

Draws the training loss over a plane in the space of all parameters, with the path of the run. It writes the picture
landscape-<plane>.png into the run's folder, and the numbers beside it as .npz. TensorBoard shows the picture with the
run. Given several runs of one objective, it draws all their paths and writes into the first folder.

  descend landscape outputs/2026-01-31/12-00-00                 the plane that is nearest to the path
  descend landscape FOLDER plane=hessian                        along the two most curved directions at the end
  descend landscape FOLDER plane=random                         along two random directions at the end
  descend landscape FOLDER plane=hessian scale=whole            the eigenvectors themselves, as long as the parameters

plane     pca: the two principal components of the snapshots; hessian: the eigenvectors of the two largest eigenvalues;
          random: two normal directions
points    the number of points of the grid along each axis
examples  the number of training examples over which the loss is taken, always the same ones; all where there are fewer
scale     filter: each filter of a direction is made as long as that of the parameters (Li et al. 2018), which turns an
          eigenvector; whole: the direction is only made as long as all parameters

The picture shows the projection of the path on the plane. Its title says how far the path lies outside of the plane, as
a share of the path's extent (the largest distance of a snapshot from the end), and gives the loss at the end and at the
end's projection.
"""


def landscape_command(arguments: Sequence[str]) -> int:
    """Draw the landscape around runs, print what the title says, and return the exit code.

    Raises:
        ConfigurationError: the arguments are wrong, there is no such landscape, or the picture cannot be written.
    """
    folders, view = landscape_arguments(arguments)
    if view is None:
        print(USAGE)
        return 0
    with CountBar(view.points**2) as bar:
        found = landscape_of(folders, view, bar.advance)
    path = folders[0] / f"landscape-{view.plane}.png"
    try:
        write_landscape(found, path)
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be written: {error.strerror}; see to its permissions, or to the room on the disk."
        ) from error
    for name, track in found.tracks.items():
        if track.left_out:
            print(f"note: {track.left_out} snapshots of {name} are left out because they are not finite")
    print(found.loss, *found.residuals, sep="\n")
    print(f"written: {path}")
    return 0


def landscape_arguments(arguments: Sequence[str]) -> tuple[list[Path], View | None]:
    """Return the folders and the settings of the landscape, which are None where help is asked for."""
    parser = Parser("descend landscape")
    parser.add_argument("named", nargs="*")
    parser.add_argument("-h", "--help", action="store_true")
    given = parser.parse_intermixed_args(list(arguments))
    if given.help:
        return [], None
    folders: list[Path] = []
    known = [field.name for field in fields(View)]
    settings: dict[str, Any] = {}
    for text in given.named:
        name, equals, value = text.partition("=")
        if not equals or Path(text).exists():
            folders.append(Path(text))
        elif name in known:
            settings[name] = int(value) if value.isdecimal() else value
        else:
            parser.error(f"{name} is no setting of it: it has {', '.join(known)}")
    if not folders:
        parser.error("it was given no folder")
    return folders, View(**settings)


def write_landscape(found: Landscape, path: Path) -> None:
    """Write the picture and the numbers beside it, and add the picture to what TensorBoard shows of the first run."""
    with whole(path.with_suffix(".npz")) as file:
        np.savez_compressed(file, **found.arrays())
    picture = png(found.plot())
    with whole(path) as file:
        file.write(picture)
    first = next(iter(found.tracks.values()))
    add_image(path.parent, path.stem.replace("-", "/", 1), int(first.steps[-1]), picture)
