"""Fails if a local connector reaches a file by its path instead of through a held directory descriptor.

A path is looked up anew on every call, so whoever can swap a folder for a link on the way can lead us out of
the tree we were given. Below connectors/local*, every call that takes a path therefore carries `dir_fd=` or
works on a descriptor, and every open refuses to follow links.

A function that has to start from a path carries the comment `# root: opened once by path`.
"""

from __future__ import annotations

import ast
import io
import os
import sys
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass, field

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CONNECTORS = os.path.join("src", "tallyport", "connectors")
EXEMPTION = "# root: opened once by path"

# What each call of os has to carry, unless its first argument is a descriptor.
ONE_FOLDER = ("dir_fd",)
TWO_FOLDERS = ("src_dir_fd", "dst_dir_fd")
DESCRIPTOR_ONLY: tuple[str, ...] = ()
OS_CALLS = {
    **dict.fromkeys(["open", "mkdir", "mkfifo", "mknod", "unlink", "remove", "rmdir"], ONE_FOLDER),
    **dict.fromkeys(["chmod", "chown", "utime", "stat", "lstat", "access"], ONE_FOLDER),
    **dict.fromkeys(["symlink", "readlink", "fwalk"], ONE_FOLDER),
    **dict.fromkeys(["rename", "replace", "link"], TWO_FOLDERS),
    **dict.fromkeys(["scandir", "listdir", "truncate", "statvfs"], DESCRIPTOR_ONLY),
    **dict.fromkeys(["getxattr", "setxattr", "listxattr", "removexattr"], DESCRIPTOR_ONLY),
    **dict.fromkeys(["walk", "makedirs", "removedirs", "renames", "lchown", "lchmod"], DESCRIPTOR_ONLY),
    **dict.fromkeys(["chdir", "chroot"], DESCRIPTOR_ONLY),
}
# These follow a link in the last place unless told not to, and what they change may then be outside the tree.
CHANGES_THROUGH_LINKS = {"chmod", "chown", "utime"}
PATH_QUESTIONS = {
    *("exists", "lexists", "isdir", "isfile", "islink", "ismount", "realpath", "samefile"),
    *("getsize", "getmtime", "getctime", "getatime"),
}
PURE_PATHS = {"PurePath", "PurePosixPath", "PureWindowsPath"}


@dataclass
class Scope:
    """A function (or the module): what it may do, and what its names were set to."""

    exempt: bool = False
    values: dict[str, list[ast.expr]] = field(default_factory=dict)


def breaches(source: str) -> list[tuple[int, str]]:
    """Return each line number at fault, and what is wrong there."""
    tree = ast.parse(source)
    checker = Checker(exempt_functions(tree, source))
    checker.visit(tree)
    return sorted(checker.found)


def exempt_functions(tree: ast.AST, source: str) -> set[ast.AST]:
    """Find the functions that carry the comment: inside (but not in a nested one), or on the line above."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    comments = [token for token in tokens if token.type == tokenize.COMMENT]
    lines = [token.start[0] for token in comments if token.string.startswith(EXEMPTION)]
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    exempt: set[ast.AST] = set()
    for line in lines:
        around = [node for node in functions if first_line(node) - 1 <= line <= (node.end_lineno or 0)]
        if around:
            exempt.add(max(around, key=first_line))
    return exempt


def first_line(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Give the line a function starts on, decorators included."""
    return min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])


class Checker(ast.NodeVisitor):
    """Walks one file and collects what is wrong with it."""

    def __init__(self, exempt: set[ast.AST]) -> None:
        self.found: list[tuple[int, str]] = []
        self.scopes = [Scope()]
        self.exempt = exempt
        self.modules = {"os": "os", "shutil": "shutil", "pathlib": "pathlib", "io": "io"}

    def visit_Module(self, node: ast.Module) -> None:
        for statement in node.body:  # constants first: a function may use one that is defined below it
            self.remember(statement)
        self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        for outside in [*node.decorator_list, node.args]:
            self.visit(outside)
        self.scopes.append(Scope(exempt=node in self.exempt))
        for inside in ast.walk(node):
            self.remember(inside)
        for statement in node.body:
            self.visit(statement)
        self.scopes.pop()

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_Import(self, node: ast.Import) -> None:
        for name in node.names:
            if name.name in self.modules:
                self.modules[name.asname or name.name] = name.name

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        names = {name.name for name in node.names}
        refused: set[str] = set()
        if node.module == "os":
            refused = names & set(OS_CALLS)
            paths = [name for name in node.names if name.name == "path"]
            self.modules |= {name.asname or name.name: "os.path" for name in paths}
        elif node.module == "os.path":
            refused = names & PATH_QUESTIONS
        elif node.module in ("shutil", "pathlib"):
            refused = names - PURE_PATHS
        elif node.module == "io":
            refused = names & {"open"}
        for name in sorted(refused):
            self.report(node, f"{name} is imported by name: call it as {node.module}.{name}()")

    def visit_Call(self, node: ast.Call) -> None:
        name = self.dotted(node.func)
        module, _, function = name.rpartition(".")
        if name in ("open", "io.open"):
            if not is_descriptor(first(node)):
                self.report(node, "open() on a path: os.open below the held folder, then os.fdopen")
        elif module == "os" and function in OS_CALLS:
            self.check_os_call(node, function)
        elif module == "shutil":
            if not is_descriptor(first(node)) and not carries(node, "dir_fd"):
                self.report(node, f"{name}() works on paths")
        elif module == "os.path" and function in PATH_QUESTIONS:
            self.report(node, f"{name}() looks a path up anew: ask os.stat(name, dir_fd=...)")
        elif name.startswith("pathlib.") and not PURE_PATHS & set(name.split(".")):
            self.report(node, f"{name}() works on paths: only the pure classes are welcome here")
        self.generic_visit(node)

    def check_os_call(self, node: ast.Call, function: str) -> None:
        """Check one call of a function of os that takes a path."""
        needed = OS_CALLS[function]
        if not is_descriptor(first(node)):
            missing = [keyword for keyword in needed if not carries(node, keyword)]
            if not needed:
                self.report(node, f"os.{function}() works on a path: call it on a descriptor, or not at all")
            elif missing:
                self.report(node, f"os.{function}() without {'= and '.join(missing)}=")
            elif function in CHANGES_THROUGH_LINKS and not is_false(keyword_of(node, "follow_symlinks")):
                self.report(node, f"os.{function}() without follow_symlinks=False")
        if function == "open":
            flags = node.args[1] if len(node.args) > 1 else keyword_of(node, "flags")
            if flags is None or not self.refuses_links(flags):
                self.report(node, "os.open() without O_NOFOLLOW in its flags")

    def refuses_links(self, flags: ast.expr, seen: frozenset[str] = frozenset()) -> bool:
        """Tell whether flags hold O_NOFOLLOW: as written, or by every value a name in them was given."""
        if isinstance(flags, ast.BinOp):
            if not isinstance(flags.op, ast.BitOr):
                return False
            return self.refuses_links(flags.left, seen) or self.refuses_links(flags.right, seen)
        if isinstance(flags, ast.IfExp):
            return self.refuses_links(flags.body, seen) and self.refuses_links(flags.orelse, seen)
        if isinstance(flags, ast.Attribute):
            return flags.attr == "O_NOFOLLOW"
        if isinstance(flags, ast.Name):
            if flags.id == "O_NOFOLLOW":
                return True
            values = [] if flags.id in seen else self.values_of(flags.id)
            deeper = seen | {flags.id}
            return bool(values) and all(self.refuses_links(value, deeper) for value in values)
        return False

    def values_of(self, name: str) -> list[ast.expr]:
        """Give all that a name is set to, in the innermost function that sets it."""
        return next((scope.values[name] for scope in reversed(self.scopes) if name in scope.values), [])

    def remember(self, node: ast.AST) -> None:
        """Keep what a plain name is set to."""
        if isinstance(node, ast.Assign):
            targets, value = node.targets, node.value
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            targets, value = [node.target], node.value
        else:
            return
        for target in targets:
            if isinstance(target, ast.Name):
                self.scopes[-1].values.setdefault(target.id, []).append(value)

    def dotted(self, node: ast.expr) -> str:
        """Give the full name of what is called: os.path.exists, or empty for anything that is not a name."""
        if isinstance(node, ast.Attribute):
            left = self.dotted(node.value)
            return f"{left}.{node.attr}" if left else ""
        if isinstance(node, ast.Name):
            return self.modules.get(node.id, node.id)
        if isinstance(node, ast.Call):
            return self.dotted(node.func)
        return ""

    def report(self, node: ast.stmt | ast.expr, message: str) -> None:
        """Record a breach, unless it is in a function that may start from a path."""
        if not self.scopes[-1].exempt:
            self.found.append((node.lineno, message))


def first(node: ast.Call) -> ast.expr | None:
    """Give a call's first positional argument."""
    return node.args[0] if node.args else None


def keyword_of(node: ast.Call, name: str) -> ast.expr | None:
    """Give the value of a call's keyword argument."""
    return next((keyword.value for keyword in node.keywords if keyword.arg == name), None)


def carries(node: ast.Call, name: str) -> bool:
    """Tell whether a call carries this keyword, with something in it."""
    value = keyword_of(node, name)
    return value is not None and not (isinstance(value, ast.Constant) and value.value is None)


def is_false(node: ast.expr | None) -> bool:
    """Tell whether an argument is the word False."""
    return isinstance(node, ast.Constant) and node.value is False


def is_descriptor(node: ast.expr | None) -> bool:
    """Tell whether an argument is a descriptor by its name: parent_fd, self._root_fd, stream.fileno()."""
    if isinstance(node, ast.Name):
        return node.id.endswith("fd")
    if isinstance(node, ast.Attribute):
        return node.attr.endswith("fd")
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "fileno"


def files(root: str) -> Iterator[str]:
    """Yield the files this lint is about, relative to the root."""
    for folder, _, names in sorted(os.walk(os.path.join(root, CONNECTORS))):
        for name in sorted(names):
            path = os.path.relpath(os.path.join(folder, name), root)
            below = os.path.relpath(path, CONNECTORS)
            if name.endswith(".py") and below.startswith("local"):
                yield path


def main(root: str = ROOT) -> int:
    """Print every breach; 1 if there is one."""
    found = 0
    for name in files(root):
        with open(os.path.join(root, name), encoding="utf-8") as stream:
            source = stream.read()
        for line, message in breaches(source):
            print(f"{name}:{line}: {message}")
            found += 1
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
