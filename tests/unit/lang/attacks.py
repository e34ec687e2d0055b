"""Runs every attack in a process of its own and prints what came of each, as JSON; test_attacks.py judges."""

from __future__ import annotations

import json
import resource
import sys
import time

from dgen.diagnostic import DgenError, Source
from dgen.lang.evaluate import Interpreter
from dgen.lang.parse import parse
from dgen.lang.scope import Scope

CANARY = "CANARY-" + "of-the-process"


class Prompt:
    """An object of the host's kind, with something behind it that a script must not see."""

    def __init__(self) -> None:
        self.positive = "a cat"
        self._secret = CANARY

    def __str__(self) -> str:
        return self.positive


def reads(text: str) -> str:
    return f"\\print {text}"


def evaluates(text: str) -> str:
    return f"\\setp found {text}\n\\print {{{{ found }}}}"


TEMPLATES = [
    # attribute walks
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ ''['__class__'] }}",
    "{{ ''['__cla' ~ 'ss__'] }}",
    "{{ ''|attr('__class__') }}",
    "{{ ''|attr('__cla' ~ 'ss__')|attr('__mro__') }}",
    "{{ [''] | map(attribute='__class__') | list }}",
    "{{ [''] | map('attr', '__class__') | list }}",
    "{{ [''] | groupby('__class__') }}",
    "{{ [''] | sort(attribute='__class__.__name__') }}",
    "{{ [''] | selectattr('__class__') | list }}",
    "{{ [''] | sum(attribute='__class__') }}",
    "{{ [''] | join(attribute='__class__') }}",
    "{{ [''] | unique(attribute='__class__') | list }}",
    "{{ prompt._secret }}",
    "{{ prompt['_secret'] }}",
    "{{ prompt|attr('_secret') }}",
    "{{ prompt.__dict__ }}",
    "{{ prompt.__init__.__globals__ }}",
    "{{ prompt.__init__.__globals__['CANARY'] }}",
    "{{ quote.__globals__ }}",
    "{{ quote.__code__.co_consts }}",
    "{{ download.__closure__[0].cell_contents }}",
    "{{ have_cuda.__wrapped__ }}",
    "{{ range.__self__ }}",
    "{{ len.__self__.open }}",
    "{{ abs.__self__.__import__('os') }}",
    "{{ str.mro() }}",
    "{{ str.__subclasses__() }}",
    "{{ int.from_bytes.__self__ }}",
    "{{ dict.fromkeys.__self__.mro() }}",
    # what Jinja itself puts within reach
    "{{ self._TemplateReference__context }}",
    "{{ self.__init__.__globals__ }}",
    "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
    "{{ joiner.__init__.__globals__ }}",
    "{{ namespace.__init__.__globals__ }}",
    "{{ namespace(a=1).__class__ }}",
    "{{ lipsum.__globals__.os }}",
    "{{ lipsum() }}",
    "{{ get_flashed_messages.__globals__ }}",
    "{{ config }}",
    "{{ request }}",
    "{{ context }}",
    "{{ environment }}",
    "{{ caller }}",
    "{% macro m() %}{{ m.__globals__ }}{% endmacro %}{{ m() }}",
    "{% macro m() %}{% endmacro %}{{ m._func.__globals__ }}",
    "{% macro m() %}{% endmacro %}{{ m._environment }}",
    "{% macro m() %}{{ caller._func }}{% endmacro %}{% call m() %}{% endcall %}",
    "{% for x in [1] %}{{ loop._iterator }}{{ loop.__init__.__globals__ }}{% endfor %}",
    "{% for x in [1] %}{{ loop._recurse }}{% endfor %}",
    # formats
    "{{ '{0.__class__.__mro__}'.format('') }}",
    "{{ '{0._secret}'.format(prompt) }}",
    "{{ '{0[_secret]}'.format(prompt) }}",
    "{{ '{p.__init__.__globals__[CANARY]}'.format(p=prompt) }}",
    "{{ '{p._secret}'.format_map({'p': prompt}) }}",
    "{{ str.format('{0._secret}', prompt) }}",
    "{{ str.format_map('{p._secret}', {'p': prompt}) }}",
    "{{ '{0._secret}'|attr('format')(prompt) }}",
    "{{ ['{0._secret}'] | map('format', prompt) | list }}",
    "{{ '%(p)r' | format(p=prompt.__init__) }}",
    "{{ '{:>999999999}'.format(1) }}",
    "{{ '{:>{}}'.format(1, 999999999) }}",
    "{{ '%999999999d' % 1 }}",
    "{{ '%*d' % (999999999, 1) }}",
    "{{ ('%99999d' * 1000) % ((1,) * 1000) }}",
    "{{ format(1, '>999999999') }}",
    "{{ '{:.999999999f}'.format(1.5) }}",
    # frames and generators
    "{{ (x for x in [1]).gi_frame }}",
    "{{ ([1] | map('string')).gi_frame.f_globals }}",
    "{{ ([1] | map('string')).gi_code }}",
    "{{ iter([1]).__reduce__() }}",
    "{{ ([1]|select).ag_frame }}",
    # size
    "{{ 9 ** 9 ** 9 }}",
    "{{ 2 ** 10 ** 8 }}",
    "{{ pow(2, 10 ** 9) }}",
    "{{ pow(3, 10 ** 30000, 10 ** 30000 + 1) }}",
    "{{ 'a' * 10 ** 9 }}",
    "{{ [0] * 10 ** 9 }}",
    "{{ ('a' * 10 ** 6) * 10 ** 6 }}",
    "{{ 'a'.ljust(10 ** 9) }}",
    "{{ 'a'.zfill(10 ** 9) }}",
    "{{ 'a' | center(10 ** 9) }}",
    "{{ 'a' | indent(10 ** 9, true) }}",
    "{{ ('\\n' * 10 ** 5) | indent(10 ** 5) }}",
    "{{ [1] | batch(10 ** 9, 'x') | list }}",
    "{{ [1] | slice(10 ** 9) | list }}",
    "{{ {'a': 1} | tojson(10 ** 9) }}",
    "{{ ('a' * 10 ** 6) | replace('', 'a' * 10 ** 6) }}",
    "{{ ('a' * 10 ** 6).replace('a', 'a' * 10 ** 6) }}",
    "{{ ('a' * 10 ** 6).translate({97: 'a' * 10 ** 6}) }}",
    "{{ ('\\t' * 10 ** 6).expandtabs(10 ** 6) }}",
    "{{ ('a' * 10 ** 5).join(['b'] * 10 ** 5) }}",
    "{{ (['a' * 10 ** 6] * 10 ** 5) | join }}",
    "{{ ''.join(['a' * 10 ** 6] * 10 ** 5) }}",
    "{{ ['a' * 10 ** 6] * 10 ** 5 }}",
    "{{ (['a' * 10 ** 6] * 10 ** 5) | string }}",
    "{{ (['a' * 10 ** 6] * 10 ** 5) | tojson }}",
    "{{ (['a' * 10 ** 6] * 10 ** 5) | pprint }}",
    "{{ csv(['a' * 10 ** 6] * 10 ** 5) }}",
    "{{ quote(['a' * 10 ** 6] * 10 ** 5) }}",
    "{{ bytes(10 ** 9) }}",
    "{{ (1).to_bytes(10 ** 9, 'big') }}",
    "{{ round(1, -10 ** 9) }}",
    "{{ 1.5 | round(10 ** 9, 'floor') }}",
    "{{ int('9' * 10 ** 6) }}",
    "{{ (10 ** 30000) | string }}",
    "{{ range(10 ** 9) | list }}",
    "{{ list(enumerate('a' * 10 ** 6)) }}",
    "{{ list(zip(range(10 ** 5), range(10 ** 5), range(10 ** 5))) | length }}",
    "{{ gen_seeds(10 ** 9) }}",
    "{{ frange(0, 1, 10 ** -9) }}",
    "{{ sum([[1] * 1000] * 1000, []) }}",
    "{{ ([[1] * 1000] * 1000) | sum(start=[]) }}",
    "{{ lipsum(n=10 ** 6) }}",
    "{% set a = 'a' * 10 ** 6 %}{% set b = a ~ a ~ a ~ a ~ a ~ a ~ a ~ a %}{{ (b ~ b ~ b ~ b ~ b ~ b) | length }}",
    "{% set a = 'a' * 10 ** 6 %}{{ a + a + a + a + a + a + a + a }}",
    "{% set a = [1, 1] %}{% for i in range(60) %}{% do a.extend(a) %}{% endfor %}{{ a | length }}",
    "{% set a = [] %}{% for i in range(10 ** 5) %}{% do a.append('x' * 10 ** 5) %}{% endfor %}",
    "{% set a = [] %}{% set b = 'x' * 10 ** 6 %}{% for i in range(10 ** 5) %}{% do a.append(b[1:]) %}{% endfor %}",
    "{% set n = namespace(t=(1, 1)) %}{% for i in range(60) %}{% set n.t = (n.t, n.t) %}{% endfor %}{{ n.t }}",
    "{% set n = namespace(t=[1]) %}{% for i in range(60) %}{% set n.t = [n.t, n.t] %}{% endfor %}{{ n.t }}",
    "{% set n = namespace(t=[1]) %}{% for i in range(60) %}{% set n.t = [n.t, n.t] %}{% endfor %}{{ n.t == [n.t] }}",
    # time
    "{% for a in range(10 ** 5) %}{% for b in range(10 ** 5) %}{% endfor %}{% endfor %}",
    "{% set x %}{% for a in range(10 ** 5) %}{% for b in range(10 ** 5) %}a{% endfor %}{% endfor %}{% endset %}",
    "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(60) }}",
    "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "{% for x in [1, 1] recursive %}{{ loop([1, 1]) if loop.depth < 60 }}{% endfor %}",
    "{% set a = [1] %}{% for x in a %}{% do a.append(1) %}{% endfor %}",
    "{{ '<!--' * 10 ** 5 | striptags }}",
    "{{ ('<' * 10 ** 5) | striptags | length }}",
    "{{ ('www.' * 10 ** 5) | urlize }}",
    # other doors
    "{{ path.__class__ }}",
    "{{ path._members }}",
    "{{ path.join.__globals__ }}",
    "{{ glob.glob.__globals__ }}",
    "{{ glob.os }}",
    "{{ env.__class__.__init__.__globals__ }}",
    "{{ env._members.clear() }}",
    "{{ saved_modules.a._modules }}",
    "{{ open('/etc/passwd') }}",
    "{{ __import__('os') }}",
    "{{ eval('1') }}",
    "{{ getattr('', '__class__') }}",
    "{% import 'os' as os %}",
    "{% include '/etc/passwd' %}",
    "{% extends '/etc/passwd' %}",
]

EXPRESSIONS = [
    "().__class__.__bases__[0].__subclasses__()",
    "''.__class__",
    "prompt._secret",
    "prompt.__dict__",
    "'{0._secret}'.format(prompt)",
    "'{p._secret}'.format_map({'p': prompt})",
    "str.format('{0._secret}', prompt)",
    "f'{prompt._secret}'",
    "f'{1:>999999999}'",
    "f'{1:>{999999999}}'",
    "f'{1:{9}{9}{9}{9}{9}{9}{9}{9}}'",
    "(x for x in [1]).gi_frame",
    "[x for x in [1]].__class__",
    "[prompt for prompt in [1]][0].__class__",
    "(lambda: 0).__globals__",
    "(lambda f: f(f))(lambda f: f(f))",
    "[a := 1, a]",
    "len.__self__",
    "quote.__globals__",
    "download.__closure__",
    "range.__self__",
    "str.__subclasses__()",
    "str.mro()",
    "type('x', (), {})",
    "getattr('', '__class__')",
    "globals()",
    "locals()",
    "vars()",
    "dir()",
    "eval('1')",
    "exec('1')",
    "compile('1', '', 'eval')",
    "open('/etc/passwd')",
    "input()",
    "breakpoint()",
    "__import__('os').system('id')",
    "__builtins__",
    "object()",
    "super()",
    "memoryview(b'a')",
    "9 ** 9 ** 9",
    "1 << 10 ** 9",
    "(1 << 90000) * (1 << 90000)",
    "pow(3, 1 << 90000, (1 << 90000) + 1)",
    "'a' * 10 ** 9",
    "[0] * 10 ** 9",
    "('a',) * 10 ** 9",
    "[['a' * 10 ** 5 for i in range(10 ** 5)] for j in range(10 ** 5)]",
    "[0 for i in range(10 ** 5) for j in range(10 ** 5)]",
    "sum([[1] * 1000] * 1000, [])",
    "sum(1 for i in range(10 ** 5) for j in range(10 ** 5))",
    "[*range(10 ** 5), *range(10 ** 5), *range(10 ** 5), *range(10 ** 5)]",
    "str(['a' * 10 ** 6] * 10 ** 5)",
    "repr(['a' * 10 ** 6] * 10 ** 5)",
    "f\"{['a' * 10 ** 6] * 10 ** 5}\"",
    "''.join(['a' * 10 ** 6] * 10 ** 5)",
    "sorted(['a' * 10 ** 6] * 10 ** 5) == []",
    "list(enumerate('a' * 10 ** 6))",
    "list(map(str, range(10 ** 5))) and bytes(10 ** 9)",
    "round(1, -(10 ** 9))",
    "dict(zip('a' * 10 ** 6, 'a' * 10 ** 6))",
    "max('a' * 10 ** 6, key=eval)",
    "(1).to_bytes(10 ** 9, 'big')",
    "b'a'.ljust(10 ** 9)",
    "[[[[[[[[[[1] * 9] * 9] * 9] * 9] * 9] * 9] * 9] * 9] * 9] == 1",
    "{((((((((((1,) * 9,) * 9,) * 9,) * 9,) * 9,) * 9,) * 9,) * 9,) * 9,) * 9: 1}",
    "-" * 5000 + "1",
    "(" * 5000 + ")" * 5000,
    "[" * 150 + "]" * 150,
    "1" * 10000,
    "0x" + "f" * 100000,
    "1if 1else " * 2000 + "1",
]

SCRIPTS = [
    "\\import json\n\\print {{ json.codecs.builtins }}",
    "\\import json\n\\print {{ json.__loader__ }}",
    "\\import json\n\\print {{ json._module }}",
    "\\import json\n\\print {{ json|attr('_module') }}",
    "\\import json\n\\print {{ json.loads.__globals__ }}",
    "\\import json\n\\print {{ json.JSONDecoder.__init__.__globals__ }}",
    "\\import json\n\\setp x json.loads.__globals__",
    "\\import json\n\\setp x json.JSONDecoder.mro()",
    "\\import random\n\\print {{ random._os }}",
    "\\save_modules a unet\n\\print {{ saved_modules.a._modules.canary }}",
    "\\set x {{ '{{ prompt._secret }}' }}\n{{ x }}",
    "\\set a {{ 'a' * 10 ** 6 }}\n{% for i in range(100) %}\n\\set b {{ '{{ a ~ a ~ a ~ a }}' }}\n{% endfor %}",
]


class Host:
    """A host that has nothing to say."""

    def __init__(self) -> None:
        self.written = ""

    def write(self, text: str) -> None:
        self.written += text[:10_000]

    def save_modules(self, names: object) -> object:
        return {"canary": CANARY}

    def __getattr__(self, name: str) -> object:
        return lambda *args, **kwargs: ""


def attempt(script: str) -> tuple[str, str]:
    """Run one attack; return whether it ended in a diagnostic, and what it wrote or was told."""
    scope, host = Scope(), Host()
    scope.provide("prompt", Prompt())
    try:
        Interpreter(scope, host).run(parse(Source("attack.dgen", script)))
    except DgenError as error:
        return error.diagnostics[0].code, ""
    return "ran", host.written


def highest_bytes() -> int:
    """Return the most memory that this process ever held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def measure(script: str) -> dict[str, object]:
    began, held = time.process_time(), highest_bytes()
    code, written = attempt(script)
    seconds, grown = time.process_time() - began, highest_bytes() - held
    return {"script": script[:200], "code": code, "written": written[:2000], "seconds": seconds, "grown": grown}


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (4 * 2**30, 4 * 2**30))
    attempt("{% for x in [1] %}\\print {{ x | string }}\n{% endfor %}\n\\setp x 1")
    for script in (*map(reads, TEMPLATES), *map(evaluates, EXPRESSIONS), *SCRIPTS):
        print(json.dumps(measure(script)), flush=True)


if __name__ == "__main__":
    main()
