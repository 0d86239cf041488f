"""The shape of the house: which room may import which, where imports stand, what README and names promise."""

import ast
import graphlib
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import dualgrad

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "dualgrad"

#: The rooms in order: an import goes only to a room listed earlier.  Rooms on one line do not see each other.
ROOMS = [
    ["errors"],
    ["tree"],
    ["core"],
    ["rules", "interpreters"],
    ["compiler"],
    ["transforms"],
    ["check"],
    ["implicit"],
    ["numpy"],
    ["scipy"],
    ["operators"],
    ["sparse"],
    ["models"],
    ["optimize"],
    ["distributed"],
    ["demo", "bench"],
    ["__init__"],
    ["__main__"],
]
STOREY = {room: storey for storey, rooms in enumerate(ROOMS) for room in rooms}

#: What lies side by side in these rooms (a file, or a folder as a whole) does not import its neighbours; the
#: room's own __init__ may list them.
SEPARATE = {"interpreters"}
#: Rooms that may import the package as a user does, `import dualgrad`.
USERS = {"demo", "__main__"}
#: What may be imported inside a function: extras that need not be installed, and anything by the command
#: line, so that `python -m dualgrad --help` does not load the library.
OPTIONAL = {"autograd", "jax", "matplotlib", "sklearn", "torch", "tqdm"}
LAZY = {"__main__"}
#: What the library needs, and nothing else.
REQUIRED = {"dualgrad", "numpy", "scipy"} | set(sys.stdlib_module_names)

MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}


def room_of(module: str) -> str:
    """dualgrad.core.traced -> core; dualgrad -> __init__."""
    return (module.split(".") + ["__init__"])[1]


def imports(module: str) -> Iterator[tuple[str, ast.stmt, bool]]:
    """Every module that a module imports, with the statement and whether it stands inside a function."""

    def visit(node: ast.AST, inside: bool) -> Iterator[tuple[str, ast.stmt, bool]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                yield from ((alias.name, child, inside) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                base = child.module or ""
                if child.level:
                    package = (
                        module.split(".") if MODULES[module].name == "__init__.py" else module.split(".")[:-1]
                    )
                    base = ".".join(package[: len(package) - child.level + 1] + ([base] if base else []))
                for alias in child.names:
                    name = f"{base}.{alias.name}"
                    yield (name if name in MODULES else base), child, inside
            else:
                function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
                yield from visit(child, inside or function)

    return visit(ast.parse(MODULES[module].read_text(encoding="utf-8")), False)


def complaint(module: str, statement: ast.stmt, reason: str) -> str:
    where = f"{MODULES[module].relative_to(ROOT)}:{statement.lineno}"
    return f"{where}: `{ast.unparse(statement)}`: {reason}"


def layering_complaint(module: str, target: str) -> str | None:
    """Why this import of one room by another is not allowed; None if it is."""
    home, room = room_of(module), room_of(target)
    if home not in STOREY or room not in STOREY:
        return f"the room {home if home not in STOREY else room} is not in the list of rooms"
    if target == "dualgrad":
        return (
            None if home in USERS else "the package's public names are for users; import from the room itself"
        )
    if home == room:
        neighbours = module.split(".")[2:3] != target.split(".")[2:3] and module.count(".") > 1
        return f"the files of {home} do not import one another" if home in SEPARATE and neighbours else None
    if STOREY[room] == STOREY[home]:
        return f"{home} and {room} do not see each other"
    return None if STOREY[room] < STOREY[home] else f"{room} comes after {home}"


@pytest.mark.parametrize("module", MODULES)
def test_an_import_goes_only_to_a_room_listed_above(module):
    found = [
        complaint(module, statement, reason)
        for target, statement, _ in imports(module)
        if target.split(".")[0] == "dualgrad" and (reason := layering_complaint(module, target))
    ]
    assert not found, "\n".join(found)


def test_no_import_goes_in_a_circle():
    graph = {
        module: {target for target, _, _ in imports(module) if target in MODULES} - {module}
        for module in MODULES
    }
    try:
        tuple(graphlib.TopologicalSorter(graph).static_order())
    except graphlib.CycleError as error:
        pytest.fail(" <- ".join(error.args[1]))


@pytest.mark.parametrize("module", MODULES)
def test_imports_stand_at_the_top_and_need_only_numpy_and_scipy(module):
    found = []
    for target, statement, inside in imports(module):
        package = target.split(".")[0]
        if inside and package not in OPTIONAL and room_of(module) not in LAZY:
            found.append(complaint(module, statement, "inside a function, and not an optional extra"))
        elif not inside and package not in REQUIRED:
            found.append(complaint(module, statement, "not NumPy, SciPy or the standard library"))
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("module", "target", "allowed"),
    [
        ("dualgrad.tree.vector", "dualgrad.errors", True),
        ("dualgrad.tree.vector", "dualgrad.tree.nodes", True),
        ("dualgrad.errors", "dualgrad.tree", False),
        ("dualgrad.tree.vector", "dualgrad", False),
        ("dualgrad.tree.vector", "dualgrad.transforms.jacobian", False),
        ("dualgrad.tree.vector", "dualgrad.attic", False),
    ],
)
def test_the_layering_test_can_fail(module, target, allowed):
    assert (layering_complaint(module, target) is None) == allowed


# Promises ---------------------------------------------------------------------------------------------------


def commands() -> list[str]:
    """The fenced lines under the README's heading `Two commands`."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    section = re.split(r"^## ", text.split("## Two commands\n", 1)[1], maxsplit=1, flags=re.M)[0]
    return [block.strip() for block in re.findall(r"^```sh\n(.*?)^```", section, flags=re.M | re.S)]


@pytest.mark.parametrize(("place", "ending"), [(0, "-m dualgrad demo"), (1, "-m pytest -n auto")])
def test_the_readme_gives_two_commands_that_do_their_own_set_up(place, ending):
    assert len(commands()) == 2
    command = commands()[place]
    assert "\n" not in command and command.endswith(ending)
    assert command.startswith("python3 -m venv") and "pip install" in command


def test_every_public_name_says_what_it_is():
    assert len(set(dualgrad.__all__)) == len(dualgrad.__all__)
    silent = [
        name
        for name in dualgrad.__all__
        if (callable(thing := getattr(dualgrad, name)) or inspect.ismodule(thing))
        and not inspect.getdoc(thing)
    ]
    assert not silent, f"no docstring: {silent}"


def test_the_package_is_typed():
    assert (PACKAGE / "py.typed").exists()


@pytest.mark.parametrize("module", MODULES)
def test_the_first_screen_says_the_idea(module):
    text = MODULES[module].read_text(encoding="utf-8")
    assert not text.strip() or ast.get_docstring(ast.parse(text)), f"{module} has no docstring"
