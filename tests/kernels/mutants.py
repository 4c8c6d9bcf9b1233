"""Kernels with one fault each, made from the source of the real ones."""

from __future__ import annotations

import ast
import importlib.util
import itertools
import re
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

_numbers = itertools.count()


def source_of(module: str) -> str:
    """Of a module of `nestling.kernels`."""
    original = import_module(f"nestling.kernels.{module}")
    assert original.__file__
    return Path(original.__file__).read_text("utf-8")


def mutant(module: str, right: str, wrong: str, folder: Path) -> ModuleType:
    """A module of `nestling.kernels` in which what matches `right`, once, is `wrong`.

    Both as for `re.sub`, with a blank for any white space, unless a quantifier follows.
    """
    pattern = re.compile(re.sub(r" (?![+*?])", r"\\s+", right))
    source = source_of(module)
    found = len(pattern.findall(source))
    assert found == 1, f"{module}: {right!r} stands {found} times"
    return made_from(pattern.sub(wrong, source), module, folder)


def made_from(source: str, module: str, folder: Path) -> ModuleType:
    """The module with other source.

    It lies in a file of its own, since Triton reads a kernel's source from where it stands.
    """
    number = next(_numbers)
    path = folder / f"mutant_{number}.py"
    path.write_text(source, "utf-8")
    package = import_module(f"nestling.kernels.{module}").__package__
    name = f"{package}.mutant_{number}"  # its relative imports are the same
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec
    assert spec.loader
    made = importlib.util.module_from_spec(spec)
    sys.modules[name] = made
    spec.loader.exec_module(made)
    return made


class Mutation(NamedTuple):
    """One fault in a kernel: the line that holds it, before and after, and the whole source.

    Where the line is left out, `after` says so.
    """

    before: str
    after: str
    source: str


def kernels_in(source: str) -> list[str]:
    """The functions that Triton compiles."""
    functions = (each for each in ast.parse(source).body if isinstance(each, ast.FunctionDef))
    return [
        each.name
        for each in functions
        if any(ast.unparse(d).startswith("triton.jit") for d in each.decorator_list)
    ]


def mutations(source: str, kernel: str) -> Iterator[Mutation]:
    """Each single fault of the kinds below, in one function.

    A mask or what stands for the masked left out, a bound off by one, an operand or a call left
    out, an operator, a constant or a flag that is another, one branch in place of the other, a
    statement left out.
    """
    tree = ast.parse(source)
    right = ast.unparse(tree)
    (function,) = (f for f in tree.body if isinstance(f, ast.FunctionDef) and f.name == kernel)
    for parent in ast.walk(ast.Module(function.body, [])):
        for holder, place, node in _children(parent):
            for other in _wrongs(node):
                holder[place] = other
                wrong = ast.unparse(tree)
                holder[place] = node
                lines = zip(right.splitlines(), wrong.splitlines(), strict=True)
                before, after = next((a.strip(), b.strip()) for a, b in lines if a != b)
                yield Mutation(before, f"pass  # {before}" if after == "pass" else after, wrong)


def _children(parent: ast.AST) -> Iterator[tuple[Any, Any, ast.AST]]:
    """(what holds a node, under which key, the node) for each child of a node."""
    for name, value in ast.iter_fields(parent):
        if isinstance(value, list):
            yield from ((value, i, each) for i, each in enumerate(value) if _may_change(each))
        elif _may_change(value):
            yield parent.__dict__, name, value


def _may_change(node: object) -> bool:
    docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return isinstance(node, ast.expr | ast.stmt) and not docstring


COMPARED = {ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq}
COMBINED = {ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.Mod: ast.FloorDiv, ast.Div: ast.Mult}
SWAPPED = {"minimum": "maximum", "maximum": "minimum", "max": "min", "min": "max", "cdiv": ""}


def _wrongs(node: ast.AST) -> Iterator[ast.AST]:
    """What could stand in place of a node."""
    match node:
        case ast.Constant(value=bool() as flag):
            yield ast.Constant(not flag)
        case ast.Constant(value=int() as number):
            yield ast.Constant(number + 1)
        case ast.Constant(value=float() as number):
            yield ast.Constant(number * 1.01 or 1.0)
        case ast.Compare(left, [operator], others) if type(operator) in COMPARED:
            yield ast.Compare(left, [COMPARED[type(operator)]()], others)
        case ast.BinOp(left, operator, right):
            yield left
            yield right
            if type(operator) in COMBINED:
                yield ast.BinOp(left, COMBINED[type(operator)](), right)
        case ast.Call(ast.Attribute(ast.Name("tl"), name), arguments, keywords):
            yield from _wrong_calls(node, name, arguments, keywords)
        case ast.Call(ast.Attribute(of, "to"), _, _):
            yield of
        case ast.AugAssign() | ast.Expr(ast.Call()):
            yield ast.Pass()
        case ast.Assign(_, value) if not isinstance(value, ast.Constant):
            yield ast.Pass()


def _wrong_calls(
    node: ast.Call, name: str, arguments: list[ast.expr], keywords: list[ast.keyword]
) -> Iterator[ast.AST]:
    for left_out in ("mask", "other"):
        rest = [k for k in keywords if k.arg not in (left_out, "other")]
        if any(k.arg == left_out for k in keywords):
            yield ast.Call(node.func, arguments, rest)
    if name in ("where", "minimum", "maximum"):
        yield from arguments[-2:]
    if SWAPPED.get(name):
        other = ast.Attribute(ast.Name("tl"), SWAPPED[name], ast.Load())
        yield ast.Call(other, arguments, keywords)
    if name == "cdiv":
        yield ast.BinOp(arguments[0], ast.FloorDiv(), arguments[1])
    if name == "dot":
        yield from arguments[2:3]
    if name in ("exp", "sigmoid", "erf", "rsqrt"):
        yield arguments[0]
