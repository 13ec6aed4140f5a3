"""The one `njit` of wfbt.

Numba stamps a cached kernel with its own file only: after an edit to a helper in another file, the caller would go on
returning the old answer.  This package imports nothing else from wfbt, so its source is the kernels' whole identity,
and a hash of it names the cache directory.
"""

import hashlib
import os
from pathlib import Path

import numba
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.registry import CPUDispatcher
from numba.extending import intrinsic, overload


def _cache_dir() -> str:
    identity = hashlib.sha256(f"{numba.__version__} bounds={numba.config.BOUNDSCHECK}".encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        identity.update(path.name.encode() + b"\0" + path.read_bytes())
    base = os.environ.get("WFBT_CACHE") or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "wfbt"
    return str(Path(base) / identity.hexdigest()[:16])


CACHE_DIR = _cache_dir()


OPTIONS = {"nogil": True, "error_model": "numpy"}  # IEEE division, NaN kept, no fastmath


def njit(function):
    """Compile lazily what Python calls, without the GIL, cached across processes."""
    before, numba.config.CACHE_DIR = numba.config.CACHE_DIR, CACHE_DIR
    try:
        return numba.njit(function, cache=True, **OPTIONS)
    finally:
        numba.config.CACHE_DIR = before


class Part(CPUDispatcher):
    """What only kernels call: a compiled function without a door for Python, which cost as much as the function."""

    def __call__(self, *args):
        return self.py_func(*args)

    def get_call_template(self, args, kws):
        # Types without their values: Numba would compile once more for each constant and each enumeration.
        return super().get_call_template(tuple(map(_widened, args)), kws)


def _widened(kind):
    kind = types.unliteral(kind)
    return kind.dtype if isinstance(kind, types.IntEnumMember) else kind


def part(function, inline=False):
    """Compile a helper of kernels with whatever calls it, and cache it only there.  Python runs its source."""
    if numba.config.DISABLE_JIT:
        return function
    return Part(
        function,
        targetoptions=OPTIONS
        | {
            "nopython": True,
            "boundscheck": None,
            "no_cpython_wrapper": True,
            "no_cfunc_wrapper": True,
            "forceinline": inline,
        },
    )


def inlined(function):
    """The same for a helper that vanishes into its caller: a call with twenty arguments costs more than its arithmetic.

    It gets scalars and records, or is called seldom: an array is counted in and out at every call, inlined or not.
    """
    return part(function, inline=True)


def prefetch(array, index):
    """Ask the memory for `array[index]` ahead of its use; changes no value, and does nothing when interpreted."""


@intrinsic
def _prefetch(typing, array, index):
    def generate(context, builder, signature, arguments):
        values, at = arguments
        kind = signature.args[0]
        data = context.make_array(kind)(context, builder, values).data
        pointer = builder.bitcast(builder.gep(data, [at]), ir.IntType(8).as_pointer())
        i32 = ir.IntType(32)
        signature_of = ir.FunctionType(ir.VoidType(), [pointer.type, i32, i32, i32])
        call = cgutils.get_or_insert_function(builder.module, signature_of, "llvm.prefetch.p0i8")
        builder.call(call, [pointer, i32(0), i32(3), i32(1)])
        return context.get_dummy_value()

    return types.void(array, index), generate


@overload(prefetch, jit_options={"forceinline": True})
def _prefetch_compiled(array, index):
    def ask(array, index):
        _prefetch(array, index)

    return ask


def borrowed(owned):
    """An array, or a named tuple of arrays, that is not counted: the caller holds it for as long as it is used.

    Each slice of an array, and each array given to a helper, is counted in and out by atomic instructions, which cost
    more than what a lane does with it.  Nothing that is kept or returned may come of a borrowed array.
    """
    return owned


@intrinsic
def _borrowed(typing, owned):
    def lent(context, builder, kind, value):
        if isinstance(kind, types.Array):
            array = context.make_array(kind)(context, builder, value)
            array.meminfo = cgutils.get_null_value(array.meminfo.type)
            array.parent = cgutils.get_null_value(array.parent.type)
            return array._getvalue()
        for i, inner in enumerate(kind):
            part_of = lent(context, builder, inner, builder.extract_value(value, i))
            value = builder.insert_value(value, part_of, i)
        return value

    def generate(context, builder, signature, arguments):
        return lent(context, builder, signature.args[0], arguments[0])

    return owned(owned), generate


@overload(borrowed, jit_options={"forceinline": True})
def _borrowed_compiled(owned):
    def lend(owned):
        return _borrowed(owned)

    return lend
