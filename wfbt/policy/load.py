"""Find a rule by the name the strategy file gives it."""

from __future__ import annotations

import hashlib
import importlib
import importlib.abc
import importlib.util
import inspect
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from wfbt.errors import PolicyError
from wfbt.policy.rule import Rule, describe
from wfbt.policy.wording import near


def load_rule(spec: str, base: Path, section: str = "policy") -> Rule:
    """The rule that `spec` names: a built-in, `file.py:attr` (relative to `base`) or `package.module:attr`.

    `section` is where the strategy file names it, for messages about its parameters.  The last two
    kinds execute the user's own Python; a file is executed anew at every load, so an edit is never missed.
    """
    where, colon, attr = spec.rpartition(":")
    if not colon:
        return _built_in(spec, section)
    if not where or not attr:
        raise PolicyError(f"{spec}: a rule is a built-in name, file.py:attr or package.module:attr")
    path: Path | None
    if where.endswith(".py") or "/" in where or "\\" in where:
        path = (base / where).resolve()
        module, source = _execute(spec, path)
    else:
        module = _import(spec, where)
        path = _source_of(module)
        source = path.read_bytes() if path else where.encode()
    if not hasattr(module, attr):
        names = [n for n, v in vars(module).items() if callable(v) and getattr(v, "__module__", "") == module.__name__]
        has = f"; it has {', '.join(names)}" if names else ""
        raise PolicyError(f"{spec}: there is no {attr} in {where}{near(attr, names)}{has}")
    return _rule(spec, getattr(module, attr), path, hashlib.sha256(source).hexdigest(), section)


def _built_in(name: str, section: str) -> Rule:
    from wfbt import features
    from wfbt.policy import rules

    if name not in rules.BUILT_IN:
        if name.endswith(".py"):
            raise PolicyError(f"{section}.rule: {name}: name the function or class too, as in {name}:my_rule")
        raise PolicyError(
            f"{section}.rule: {name} is no built-in rule{near(name, rules.BUILT_IN)}; "
            f"there are {', '.join(rules.BUILT_IN)}, and your own as file.py:attr"
        )
    digest = hashlib.sha256()
    for package in (rules, features):
        for file in sorted(Path(str(package.__file__)).parent.glob("*.py")):
            digest.update(file.read_bytes())
    return _rule(name, rules.BUILT_IN[name], None, digest.hexdigest(), section, built_in=True)


class _OnceLoader(importlib.abc.SourceLoader):
    """Executes bytes already read, so what is hashed is what runs, and no stale or new .pyc is involved."""

    def __init__(self, path: Path, source: bytes) -> None:
        self.path, self.source = path, source

    def get_filename(self, fullname: str) -> str:
        return str(self.path)

    def get_data(self, path: str | bytes) -> bytes:
        return self.source

    def path_stats(self, path: str | bytes) -> Mapping[str, Any]:
        raise OSError("no cached byte code")


def _execute(spec: str, path: Path) -> tuple[ModuleType, bytes]:
    if not path.is_file():
        raise PolicyError(f"{spec}: no file {path}; the path is relative to the strategy file")
    try:
        source = path.read_bytes()
    except OSError as error:
        raise PolicyError(f"{spec}: {path} cannot be read: {error.strerror}") from error
    # The module is left out of sys.modules: two files of one name cannot meet, and a second load runs the file again.
    module_spec = importlib.util.spec_from_loader(f"_wfbt_rule_{path.stem}", _OnceLoader(path, source))
    assert module_spec is not None
    assert module_spec.loader is not None
    module = importlib.util.module_from_spec(module_spec)
    try:
        module_spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise PolicyError(f"{spec}: {describe(error, path)}") from error
    return module, source


def _import(spec: str, name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:
        raise PolicyError(
            f"{spec}: importing {name}: {describe(error, None)}; a file beside the strategy is named as file.py:attr"
        ) from error


def _source_of(module: ModuleType) -> Path | None:
    path = Path(getattr(module, "__file__", None) or "")
    return path if path.suffix == ".py" and path.is_file() else None


def _rule(name: str, call: Any, source: Path | None, sha256: str, section: str, built_in: bool = False) -> Rule:
    if inspect.isclass(call):
        methods: dict[str, Any] = {method: getattr(call, method, None) for method in ("fit", "targets")}
        for method, function in methods.items():
            if not inspect.isfunction(function):
                raise PolicyError(
                    f"{name}: {method} is missing; a rule class has fit(bars, **params) and targets(bars)"
                )
        parameters = list(inspect.signature(methods["fit"]).parameters.values())[1:]
    elif callable(call):
        parameters = list(inspect.signature(call).parameters.values())
    else:
        raise PolicyError(f"{name} is {type(call).__name__}, not a function or a class")
    if not parameters or parameters[0].kind not in (parameters[0].POSITIONAL_ONLY, parameters[0].POSITIONAL_OR_KEYWORD):
        raise PolicyError(f"{name}: its first argument must be the bars")
    keywords = {}
    for parameter in parameters[1:]:
        if parameter.kind is parameter.POSITIONAL_ONLY:
            raise PolicyError(f"{name}: {parameter.name} is positional-only; parameters are passed by name")
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            keywords[parameter.name] = parameter.default
    return Rule(
        name=name,
        call=call,
        kind="class" if inspect.isclass(call) else "function",
        source=source,
        source_sha256=sha256,
        parameters=keywords,
        open_ended=any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters),
        built_in=built_in,
        per_symbol=built_in and not getattr(call, "sees_all", False),
        section=section,
    )
