"""Expressions come in; mathematics leaves, in LaTeX or MathML: one walk over an expression, two notations."""

from __future__ import annotations

import re
from html import escape
from typing import ClassVar

from pellucid._text import text
from pellucid.inspection.explain_expressions import Apply, Expression, Leaf, Number, Rest, Total, shown

_ELEMENT = re.compile(r"([A-Za-z_]+?|[A-Za-z_]+\d+_)(\d*)(?:\[([^\]]*)\])?")
_PRIME = re.compile(r"(\w+)'\((.*)\)")
_GREEK = ("gamma", "beta")
_TEXTBOOK = {"maximum": "max", "minimum": "min"}
_LEVELS = {"<": 1, "<=": 1, ">": 1, ">=": 1, "==": 1, "!=": 1, "+": 2, "-": 2, "*": 3, "neg": 4, "**": 5}


class Notation:
    """How mathematics is set; the two notations fill in the signs."""

    def __init__(self, digits: int = 6) -> None:
        self.digits = digits

    # What a notation says

    def number(self, value: Number) -> str:
        raise NotImplementedError

    def symbol(self, letters: str, level: str, index: str) -> str:
        raise NotImplementedError

    def sign(self, name: str) -> str:
        raise NotImplementedError

    def word(self, name: str) -> str:
        raise NotImplementedError

    def fraction(self, top: str, bottom: str) -> str:
        raise NotImplementedError

    def power(self, low: str, high: str) -> str:
        raise NotImplementedError

    def root(self, inner: str) -> str:
        raise NotImplementedError

    def fenced(self, inner: str, marks: str = "()") -> str:
        raise NotImplementedError

    def joined(self, parts: list[str]) -> str:
        raise NotImplementedError

    def rest(self, words: str, number: str) -> str:
        raise NotImplementedError

    # What is common

    def name(self, name: str) -> str:
        """The name of a number: z1[0,2], ∂L/∂z1[0,2], relu'(z1[0])."""
        if name.startswith("∂"):
            top, _, bottom = name.partition("/∂")
            partial = self.sign("∂")
            return self.fraction(self.joined([partial, self.name(top[1:])]), self.joined([partial, self.name(bottom)]))
        if match := _PRIME.fullmatch(name):
            return self.joined([self.word(match[1]), self.sign("'"), self.fenced(self.name(match[2]))])
        if match := _ELEMENT.fullmatch(name):
            return self.symbol(match[1].rstrip("_"), match[2], match[3] or "")
        return self.word(name)

    def expression(self, node: Expression, names: bool, above: int = 0, first: bool = True) -> str:
        """An expression, with the names of its numbers or with the numbers."""
        if isinstance(node, Leaf):
            if names and node.name:
                return self.name(node.name)
            body = self.number(node.value)
            return self.fenced(body) if not first and float(node.value) < 0 else body
        if isinstance(node, Total):
            return self._total(node, names, above, first)
        name, arguments = node.function, node.arguments
        if name == "/":
            return self.fraction(*(self.expression(a, names) for a in arguments))
        if name == "sqrt":
            return self.root(self.expression(arguments[0], names))
        if name == "abs":
            return self.fenced(self.expression(arguments[0], names), "||")
        if name == "log1p":
            return self.expression(Apply("log", (Apply("+", (Leaf("", 1), arguments[0])),)), names)
        level = _LEVELS.get(name)
        if level is None:
            name = _TEXTBOOK.get(name, name)
            inner: list[str] = []
            for n, argument in enumerate(arguments):
                inner += [self.sign(",")] if n else []
                inner.append(self.expression(argument, names))
            return self.joined([self.word(name), self.fenced(self.joined(inner))])
        inside = level < above or (name == "neg" and not first)
        begins = first or inside
        if name == "neg":
            body = self.joined([self.sign("-"), self.expression(arguments[0], names, level, False)])
        elif name == "**":
            low = self.expression(arguments[0], names, level + 1, False)
            body = self.power(low, self.expression(arguments[1], names))
        else:
            left = self.expression(arguments[0], names, level, begins)
            right = self.expression(arguments[1], names, level + (name == "-"), False)
            body = self.joined([left, self.sign(name), right])
        return self.fenced(body) if inside else body

    def _total(self, node: Total, names: bool, above: int, first: bool) -> str:
        several = node.count > 1
        inside = node.combine == "sum" and above > 2 and several
        parts: list[str] = []
        mark = "+" if node.combine == "sum" else ","
        for n, term in enumerate(node.terms):
            parts += [self.sign(mark)] if n else []
            level = (2 if several else above) if node.combine == "sum" else 0
            parts.append(
                self.expression(term, names, level, (first or inside or mark == ",") and (n == 0 or mark == ","))
            )
        if node.rest is not None:
            parts += [self.sign(mark)] if parts else []
            parts.append(self.other(node.rest, names))
        if not parts:
            parts = [self.number(0)]
        if node.combine != "sum":
            return self.joined([self.word(node.combine), self.fenced(self.joined(parts))])
        return self.fenced(self.joined(parts)) if inside else self.joined(parts)

    def other(self, rest: Rest, names: bool) -> str:
        """What stands for the terms that are not shown."""
        words = f"{text('explain.other')} {rest.count}"
        body = self.number(rest.value)
        return self.rest(words, "" if names else self.fenced(body) if rest.value < 0 else body)


class Latex(Notation):
    """LaTeX, for the inside of a mathematics environment."""

    _SIGNS: ClassVar = {
        "*": r" \cdot ",
        "∂": r"\partial ",
        "'": "'",
        ",": ", ",
        "<=": r" \le ",
        ">=": r" \ge ",
        "!=": r" \ne ",
    }

    def number(self, value: Number) -> str:
        words = shown(value, self.digits).replace("inf", r"\infty").replace("nan", r"\mathrm{nan}")
        mantissa, e, exponent = words.partition("e")
        return rf"{mantissa} \cdot 10^{{{int(exponent)}}}" if e else words

    def symbol(self, letters: str, level: str, index: str) -> str:
        base = rf"\{letters}" if letters in _GREEK else letters if len(letters) == 1 else self.word(letters)
        return base + (f"^{{({level})}}" if level else "") + (f"_{{{index}}}" if index else "")

    def sign(self, name: str) -> str:
        return self._SIGNS.get(name, f" {name} ")

    def word(self, name: str) -> str:
        return rf"\mathrm{{{name.replace('_', chr(92) + '_')}}}"

    def fraction(self, top: str, bottom: str) -> str:
        return rf"\frac{{{top}}}{{{bottom}}}"

    def power(self, low: str, high: str) -> str:
        return f"{{{low}}}^{{{high}}}"

    def root(self, inner: str) -> str:
        return rf"\sqrt{{{inner}}}"

    def fenced(self, inner: str, marks: str = "()") -> str:
        return rf"\left{marks[0]}{inner}\right{marks[1]}"

    def joined(self, parts: list[str]) -> str:
        return "".join(parts)

    def rest(self, words: str, number: str) -> str:
        under = rf"_{{\text{{{words}}}}}"
        return rf"\underbrace{{{number or chr(92) + 'cdots'}}}{under}"


class MathML(Notation):
    """MathML, which browsers set by themselves."""

    _SIGNS: ClassVar = {"*": "·", "-": "−", "'": "′", "<=": "≤", ">=": "≥", "!=": "≠", "==": "="}

    def number(self, value: Number) -> str:
        words = shown(value, self.digits).replace("inf", "∞")
        mantissa, e, exponent = words.partition("e")
        body = f"<mn>{mantissa.replace('-', '−')}</mn>"
        if not e:
            return body
        power = str(int(exponent)).replace("-", "−")
        return f"<mrow>{body}<mo>·</mo><msup><mn>10</mn><mn>{power}</mn></msup></mrow>"

    def symbol(self, letters: str, level: str, index: str) -> str:
        base = {"gamma": "γ", "beta": "β"}.get(letters, letters)
        body = f"<mi>{escape(base)}</mi>"
        high, low = f"<mrow><mo>(</mo><mn>{level}</mn><mo>)</mo></mrow>", f"<mn>{escape(index)}</mn>"
        if level and index:
            return f"<msubsup>{body}{low}{high}</msubsup>"
        if index:
            return f"<msub>{body}{low}</msub>"
        return f"<msup>{body}{high}</msup>" if level else body

    def sign(self, name: str) -> str:
        return f"<mo>{escape(self._SIGNS.get(name, name))}</mo>"

    def word(self, name: str) -> str:
        return f'<mi mathvariant="normal">{escape(name)}</mi>'

    def fraction(self, top: str, bottom: str) -> str:
        return f"<mfrac><mrow>{top}</mrow><mrow>{bottom}</mrow></mfrac>"

    def power(self, low: str, high: str) -> str:
        return f"<msup><mrow>{low}</mrow><mrow>{high}</mrow></msup>"

    def root(self, inner: str) -> str:
        return f"<msqrt>{inner}</msqrt>"

    def fenced(self, inner: str, marks: str = "()") -> str:
        return f"<mrow><mo>{marks[0]}</mo>{inner}<mo>{marks[1]}</mo></mrow>"

    def joined(self, parts: list[str]) -> str:
        return f"<mrow>{''.join(parts)}</mrow>"

    def rest(self, words: str, number: str) -> str:
        return f"<munder><mrow>{number or '<mo>⋯</mo>'}</mrow><mtext>{escape(words)}</mtext></munder>"
