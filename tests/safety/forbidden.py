"""What our packages may not do, found in their syntax trees.

A file is read, never imported. Names are followed through the file's imports, so that
``from numpy import load as read`` is seen as well as ``np.load``.
"""

import ast
from collections.abc import Iterator
from typing import NamedTuple

#: Modules whose import alone is refused: they turn bytes into running code, or open connections.
MODULES = {
    **dict.fromkeys(
        ("pickle", "_pickle", "cPickle", "pickletools", "dill", "cloudpickle", "shelve", "marshal"),
        "loading such data runs what is in it",
    ),
    **dict.fromkeys(("code", "codeop", "pty", "imp", "runpy"), "runs code"),
    **dict.fromkeys(
        ("socket", "requests", "urllib.request", "urllib3", "http.client", "ftplib", "smtplib"),
        "opens connections; leave that to a named loader of a host",
    ),
    **dict.fromkeys(("huggingface_hub",), "downloads"),
}
PICKLES = {name for name, why in MODULES.items() if why.startswith("loading")}
#: Names that may not be used at all, called or not.
NAMES = {
    **dict.fromkeys(("eval", "exec", "compile", "__import__", "breakpoint"), "runs code"),
    **dict.fromkeys(
        ("joblib.load", "joblib.dump", "pandas.read_pickle", "torch.save", "torch.jit.load"),
        "is pickle",
    ),
    **dict.fromkeys(
        ("torch.hub", "torch.package", "torch.utils.model_zoo"), "downloads or runs code"
    ),
    **dict.fromkeys(
        ("yaml.load", "yaml.load_all", "yaml.unsafe_load", "yaml.full_load", "yaml.UnsafeLoader"),
        "makes objects of any class; use yaml.safe_load",
    ),
    **dict.fromkeys(("os.system", "os.popen", "os.startfile"), "starts programs"),
    **dict.fromkeys(
        ("subprocess.getoutput", "subprocess.getstatusoutput"), "goes through the shell"
    ),
    **dict.fromkeys(("shutil.unpack_archive", "tempfile.mktemp"), "writes where a file says"),
    "keras.config.enable_unsafe_deserialization": "lets Keras files run code",
}
_STARTERS = ("os.exec", "os.spawn", "os.posix_spawn")
#: Methods of any object.
METHODS = {
    "to_pickle": "is pickle",
    "read_pickle": "is pickle",
    "extractall": "writes where a file says",
    "enable_unsafe_deserialization": "lets Keras files run code",
}
#: Calls that need a keyword with one value.
NEEDS = {
    "numpy.load": ("allow_pickle", False),
    "torch.load": ("weights_only", True),
    "keras.models.load_model": ("safe_mode", True),
    "keras.saving.load_model": ("safe_mode", True),
    "tensorflow.keras.models.load_model": ("safe_mode", True),
}
#: Keywords that no call may have with this value.
KEYWORDS = {
    ("allow_pickle", True): "is pickle",
    ("weights_only", False): "is pickle",
    ("safe_mode", False): "lets Keras files run code",
    ("shell", True): "goes through the shell",
    ("trust_remote_code", True): "runs code from the network",
}


class Finding(NamedTuple):
    line: int
    text: str


def findings(source: str) -> list[Finding]:
    """Return what is refused in the text of a module, with its line."""
    tree = ast.parse(source)
    known = _imports(tree)
    found = [hit for node in ast.walk(tree) for hit in _look(node, known)]
    return sorted(set(found))


def _imports(tree: ast.AST) -> dict[str, str]:
    """Local name -> what was imported under it."""
    known = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for name in node.names:
                if name.asname:
                    known[name.asname] = name.name
                else:
                    known[name.name.partition(".")[0]] = name.name.partition(".")[0]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for name in node.names:
                known[name.asname or name.name] = f"{node.module}.{name.name}"
    return known


def _look(node: ast.AST, known: dict[str, str]) -> Iterator[Finding]:
    if isinstance(node, ast.Import):
        for name in node.names:
            yield from _module(node, name.name)
    elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
        for name in node.names:
            yield from _module(node, f"{node.module}.{name.name}")
            yield from _name(node, f"{node.module}.{name.name}")
    elif isinstance(node, (ast.Name, ast.Attribute)):
        yield from _name(node, dotted(node, known))
        if isinstance(node, ast.Attribute) and node.attr in METHODS:
            yield Finding(node.lineno, f".{node.attr} {METHODS[node.attr]}")
    elif isinstance(node, ast.Call):
        yield from _call(node, known)


def dotted(node: ast.AST, known: dict[str, str]) -> str:
    """Return ``numpy.load`` for ``np.load``; "" for what is no plain name."""
    if isinstance(node, ast.Name):
        return known.get(node.id, node.id)
    if isinstance(node, ast.Attribute):
        before = dotted(node.value, known)
        return f"{before}.{node.attr}" if before else ""
    return ""


def _module(node: ast.AST, name: str) -> Iterator[Finding]:
    parts = name.split(".")
    starts = {".".join(parts[: end + 1]) for end in range(len(parts))}
    # joblib.externals.cloudpickle is cloudpickle still.
    for bad in sorted(starts & MODULES.keys() | set(parts) & PICKLES):
        yield Finding(node.lineno, f"imports {bad}: it {MODULES[bad]}")


def _name(node: ast.AST, name: str) -> Iterator[Finding]:
    plain = name.removeprefix("builtins.")
    if plain in NAMES:
        yield Finding(node.lineno, f"{plain}: it {NAMES[plain]}")
    if name.startswith(_STARTERS):
        yield Finding(node.lineno, f"{name}: it starts programs")


def _call(node: ast.Call, known: dict[str, str]) -> Iterator[Finding]:
    name = dotted(node.func, known)
    given = {
        k.arg: k.value.value
        for k in node.keywords
        if k.arg is not None and isinstance(k.value, ast.Constant)
    }
    if name in NEEDS and given.get(NEEDS[name][0]) is not NEEDS[name][1]:
        keyword, value = NEEDS[name]
        yield Finding(node.lineno, f"{name} without {keyword}={value}")
    for keyword in node.keywords:
        # A value that is not written out could be anything.
        for (bad, value), why in KEYWORDS.items():
            if keyword.arg == bad and given.get(bad, value) is value:
                yield Finding(node.lineno, f"{bad}={value} {why}")
    method = node.func.attr if isinstance(node.func, ast.Attribute) else ""
    weights = method == "from_pretrained" and not name.endswith("Config.from_pretrained")
    if weights and given.get("use_safetensors") is not True:
        yield Finding(node.lineno, "from_pretrained without use_safetensors=True is pickle")
    # pandas' eval(text); a network's eval() has no argument and a pymoo evaluator's has two.
    if method == "eval" and (len(node.args) == 1 or (node.keywords and not node.args)):
        yield Finding(node.lineno, ".eval(text) runs code")
    if name == "importlib.import_module" and node.args:
        first = node.args[0]
        if isinstance(first, ast.Constant) and isinstance(first.value, str):
            yield from _module(node, first.value)


def imports_by_name(source: str) -> bool:
    """Tell whether a module uses ``importlib.import_module`` or its like at all."""
    tree = ast.parse(source)
    known = _imports(tree)
    names = {dotted(node, known) for node in ast.walk(tree)}
    loaders = ("importlib.import_module", "importlib.util.spec_from", "importlib.util.module_from")
    return any(name.startswith(loaders) for name in names)
