"""What is known to differ: a table in `differences/`, of rule, encoding, what happens, and why.

What happens is a part of the fault's text, so that a rule that fails for another reason is noticed.
A row of a rule that holds is a fault, too. What would end the other side is not asked.
"""

import os

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "differences")
NOT_ASKED = "not asked"
ENCODINGS = ("json", "protobuf")


def read(name, rules):
    """Rows by rule and encoding; of no file none."""
    if name is None:
        return {}
    found = {}
    known = {tried.id for tried in rules}
    with open(os.path.join(FOLDER, f"{name}.md"), encoding="utf-8") as file:
        lines = [line.strip() for line in file if line.startswith("| ")]
    for line in lines[1:]:
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if len(cells) != 4 or not all(cells):
            raise SystemExit(f"{name}.md: four cells are wanted: {line}")
        rule, encoding, happens, _why = cells
        if rule not in known:
            raise SystemExit(f"{name}.md: no rule is {rule}")
        for one in ENCODINGS if encoding == "both" else (encoding,):
            if one not in ENCODINGS or (rule, one) in found:
                raise SystemExit(f"{name}.md: {rule} in {one} is there twice, or no encoding")
            found[rule, one] = happens.strip("`")
    return found


def spared(known):
    """What is not to be asked."""
    return {key for key, happens in known.items() if happens == NOT_ASKED}


def compare(known, outcomes):
    """What is not as the rules say, and not as the table says either."""
    wrong = []
    for outcome in outcomes:
        what = f"{outcome.rule.id} in {outcome.encoding}"
        happens = known.get((outcome.rule.id, outcome.encoding))
        if happens is None:
            if outcome.fault:
                wrong.append(f"{what} ({outcome.rule.words}): {outcome.fault}")
        elif outcome.fault is None:
            wrong.append(f"{what}: holds, though the list of differences has `{happens}`")
        elif happens not in outcome.fault:
            wrong.append(f"{what}: to differ by `{happens}`, but {outcome.fault}")
    return wrong
