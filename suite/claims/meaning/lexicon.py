"""Words that test the meaning claims: analogies, groups, synonyms and opposites, sentences."""

from __future__ import annotations

from typing import NamedTuple


class Analogy(NamedTuple):
    """a is to b as c is to d: by arithmetic, b − a + c should be near d."""

    kind: str
    a: str
    b: str
    c: str
    d: str


ROYAL = Analogy("the claim's own", "man", "woman", "king", "queen")

_PAIRS = {
    "country to capital": (
        "norway oslo, peru lima, kenya nairobi, poland warsaw, egypt cairo, cuba havana, austria vienna, "
        "japan tokyo, ireland dublin, syria damascus"
    ),
    "country to its people": (
        "spain spanish, sweden swedish, greece greek, turkey turkish, brazil brazilian, finland finnish, "
        "portugal portuguese, chile chilean, korea korean, denmark danish"
    ),
    "country to currency": (
        "japan yen, russia ruble, britain pound, india rupee, china yuan, thailand baht, poland zloty, "
        "sweden krona, mexico peso, switzerland franc"
    ),
    "male to female": (
        "uncle aunt, nephew niece, actor actress, waiter waitress, son daughter, grandfather grandmother, "
        "prince princess, husband wife, brother sister, monk nun"
    ),
    "one to many": (
        "horse horses, child children, city cities, foot feet, window windows, mouse mice, tree trees, "
        "knife knives, tooth teeth, letter letters"
    ),
    "present to past": (
        "write wrote, sing sang, build built, walk walked, lose lost, teach taught, fly flew, pay paid, "
        "fall fell, ask asked"
    ),
    "word to its comparative": (
        "warm warmer, cheap cheaper, heavy heavier, good better, young younger, dark darker, safe safer, "
        "easy easier, bad worse, narrow narrower"
    ),
    "word to its opposite": (
        "happy unhappy, fair unfair, aware unaware, legal illegal, possible impossible, known unknown, "
        "regular irregular, honest dishonest, likely unlikely, stable unstable"
    ),
    "verb to its doer": (
        "paint painter, farm farmer, bake baker, hunt hunter, sing singer, drive driver, dance dancer, "
        "train trainer, lead leader, design designer"
    ),
    "animal to its young": (
        "dog puppy, cat kitten, cow calf, sheep lamb, pig piglet, goose gosling, duck duckling, deer fawn, "
        "bear cub, horse foal"
    ),
}


def analogies() -> tuple[Analogy, ...]:
    """100 analogies, 10 of each kind: every pair with the next of its kind. king and queen are in none."""
    made = []
    for kind, text in _PAIRS.items():
        pairs = [pair.split() for pair in text.split(", ")]
        for (a, b), (c, d) in zip(pairs, pairs[1:] + pairs[:1], strict=True):
            made.append(Analogy(kind, a, b, c, d))
    return tuple(made)


GROUPS = {
    "colours": "red blue green yellow purple orange brown grey",
    "fruits": "apple banana pear grape lemon cherry peach mango",
    "days": "monday tuesday wednesday thursday friday saturday sunday",
    "metals": "iron copper silver zinc nickel aluminum lead tin",
    "instruments": "piano violin guitar trumpet flute drums cello saxophone",
    "furniture": "table chair sofa desk bed shelf bench cupboard",
    "birds": "eagle sparrow owl crow pigeon duck swan hawk",
    "parts of the body": "arm leg knee elbow shoulder neck finger ankle",
    "family": "father mother brother sister uncle cousin son grandmother",
    "trades": "doctor lawyer teacher nurse carpenter farmer plumber engineer",
    "vehicles": "car truck bus bicycle train motorcycle van boat",
    "clothing": "shirt trousers jacket hat skirt gloves coat socks",
}
"""Words of one kind each."""

_TRIPLES = (
    "big large small, happy glad sad, start begin end, buy purchase sell, fast quick slow, rich wealthy "
    "poor, angry furious calm, hard difficult easy, smart clever stupid, hot warm cold, friend companion "
    "enemy, love adore hate, win triumph lose, near close far, brave courageous cowardly, empty vacant "
    "full, strong powerful weak, noisy loud quiet, ugly hideous beautiful, true correct false, wide broad "
    "narrow, rise climb fall, allow permit forbid, help assist hinder, build construct destroy, join "
    "connect separate, odd strange normal, safe secure dangerous, sick ill healthy, shout yell whisper, "
    "sharp keen dull, ancient old modern, arrive come leave, answer reply question, raise lift lower, "
    "increase grow decrease, accept receive reject, victory success defeat, dirty filthy clean, boring "
    "tedious exciting"
)
LIKE_AND_OPPOSITE = tuple(tuple(triple.split()) for triple in _TRIPLES.split(", "))
"""(word, synonym, opposite)."""

NEIGHBOURS_OF = ("king", "monday", "python", "bank", "hot", "guitar", "paris", "1984", "good", "the")
"""Words whose nearest neighbours are shown."""


class Senses(NamedTuple):
    """A word in sentences of two of its senses; it occurs once in each sentence."""

    word: str
    first: str
    second: str
    in_first: tuple[str, ...]
    in_second: tuple[str, ...]


SENSES = (
    Senses(
        "bank",
        "river",
        "money",
        (
            "We ate our lunch on the grassy bank and watched the water flow by.",
            "The canoe drifted toward the far bank of the stream.",
            "Willows grew along the bank where the current was slow.",
            "An otter climbed up the muddy bank with a fish in its mouth.",
            "After the flood the river had washed away part of the bank.",
            "He tied the boat to a tree on the left bank.",
            "The anglers stood on the bank and cast their lines.",
            "A heron waited on the bank among the reeds.",
        ),
        (
            "She opened a savings account at the bank last week.",
            "The bank raised the interest rate on its loans.",
            "He asked the bank for a mortgage to buy the house.",
            "Two clerks at the bank counted the cash before closing.",
            "The bank refused to lend the company any more money.",
            "My salary is paid straight into the bank every month.",
            "Investors feared that the bank would go bankrupt.",
            "I forgot my card, so the bank would not let me withdraw anything.",
        ),
    ),
    Senses(
        "python",
        "language",
        "snake",
        (
            "I wrote the script in python because the library was already there.",
            "The new release of python starts programs faster.",
            "Learning python was her first step into software.",
            "You can import the module and call it from python.",
            "The server runs a small python program every hour.",
            "Indentation matters when you write code in python.",
            "He translated the algorithm from java to python.",
            "The exception was raised deep inside the python interpreter.",
        ),
        (
            "The python swallowed a goat and slept for a week.",
            "A python lay coiled under the warm rocks.",
            "The zoo keeper lifted the heavy python out of its cage.",
            "We saw the skin that a python had shed in the forest.",
            "The python squeezed its prey until it stopped breathing.",
            "Eggs of the python hatch after two months in the nest.",
            "A hungry python slid through the grass after the rat.",
            "Unlike a viper, the python has no venom in its bite.",
        ),
    ),
    Senses(
        "spring",
        "season",
        "coil",
        (
            "The cherry trees bloom in early spring.",
            "Farmers sow the fields when spring comes.",
            "After the long winter we were glad of spring.",
            "The birds return every spring to build their nests.",
            "She was born in the spring of a cold year.",
            "Last spring the snow melted very late.",
            "The days grow longer in spring and the grass turns green.",
            "They plan to marry next spring in the garden.",
        ),
        (
            "The clock stopped because its spring was broken.",
            "He replaced the rusty spring in the mattress.",
            "A steel spring pushes the bolt back into the lock.",
            "Compress the spring and fit it under the valve.",
            "The spring in the toy gun had lost its tension.",
            "Each wheel hangs on a coiled spring and a damper.",
            "The weight stretched the spring by two centimetres.",
            "A weak spring let the lid fall shut on his hand.",
        ),
    ),
)
"""Eight sentences of each sense."""
