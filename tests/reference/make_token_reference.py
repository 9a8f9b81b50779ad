"""Writes the token ids that crates/paint-clip/tests/reference.rs compares with, and counts where open_clip's
tokenizer gives others.

    python tests/reference/make_token_reference.py CLIP_DIR

CLIP_DIR holds the tokenizer files of openai/clip-vit-base-patch32. Needs transformers, open_clip and
ftfy; last run with transformers 5.23.0, open_clip 3.3.0, ftfy 6.3.1. The texts are drawn from a seed;
clip_token_hashes.json holds each with a hash of its ids (FNV-1a over their little-endian u32s).
"""

import json
import random
import struct
import sys
from collections import Counter
from pathlib import Path

from transformers import CLIPTokenizerFast

HERE = Path(__file__).parent
SEED = 20240607

WORDS = (
    "a an the of photo picture image cat dog car street sign red blue tiny huge blurry painting drawing "
    "airplane supercalifragilistic Schadenfreude naïve café jalapeño façade coöperate Ångström smörgåsbord "
    "UPPER MiXeD iPhone X-ray 3D 4k t-shirt e.g. i.e. Mr. U.S.A. rock'n'roll o'clock y'all ma'am"
).split()
CONTRACTIONS = "I'm you're he's she'll we've they'd isn't can't won't it's I'M YOU'RE HE'S 'tis ’s don’t we’ve'd".split()
SCRIPTS = {
    "cjk": [(0x4E00, 0x9FFF), (0x3040, 0x30FF), (0xAC00, 0xD7A3)],
    "rtl": [(0x05D0, 0x05EA), (0x0620, 0x064A), (0x0660, 0x0669)],
    "other scripts": [(0x0391, 0x03C9), (0x0410, 0x044F), (0x0905, 0x0939), (0x0E01, 0x0E2E), (0x10A0, 0x10FF)],
    "combining": [(0x0300, 0x036F), (0x0041, 0x007A)],
    "symbols": [(0x2190, 0x21FF), (0x2200, 0x22FF), (0x2500, 0x257F), (0x20A0, 0x20BF), (0x2460, 0x24FF)],
    "compatibility": [(0xFF01, 0xFF5E), (0xFB00, 0xFB06), (0x1D400, 0x1D4FF), (0x2150, 0x215F), (0x00B2, 0x00BE)],
}
EMOJI = "😀 😂 🥰 👍 👍🏽 👩🏿‍🚀 👨‍👩‍👧‍👦 🏳️‍🌈 🇫🇷 🇯🇵 ☃️ ❤️ ❤ 1️⃣ 🐶 🐱 🚗 ✈️ ☕ ♥".split()
SPACES = [" ", "  ", "\t", "\n", "\r\n", "\u00a0", "\u2003", "\u3000", "\u2028", "\u200b", "\ufeff", "\u0085"]
CONTROLS = [chr(c) for c in [*range(1, 9), 0x0B, 0x0C, *range(0x0E, 0x20), 0x7F, 0x80, 0x9F, 0x00AD, 0x200E, 0x202E, 0x2060]]
ENTITIES = "&amp; &lt; &gt; &quot; &#39; &nbsp; &eacute; &#x27; &amp;amp; &copy; &unknown; & &; AT&T".split()
PUNCTUATION = list("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~") + ["...", "--", "…", "“", "”", "‘", "’", "«", "»", "—", "–"]
SPECIAL = ["<|startoftext|>", "<|endoftext|>", "<|endoftext", "</w>", "<start_of_text>", "Ġ", "!</w>"]
MOJIBAKE = ["cafÃ©", "itâ€™s", "â€œquotedâ€\x9d", "naÃ¯ve", "l’humanitÃ©", "schÃ¶n"]


def texts(rng):
    def from_ranges(ranges, n):
        return "".join(chr(rng.randint(*rng.choice(ranges))) for _ in range(n))

    def words(n):
        return " ".join(rng.choice(WORDS) for _ in range(n))

    def mixed(parts, n, joint):
        return joint.join(rng.choice([rng.choice(parts), rng.choice(WORDS)]) for _ in range(n))

    kinds = {}
    kinds["words"] = [words(rng.randint(1, 8)) for _ in range(300)]
    kinds["templates"] = [f"a {rng.choice(WORDS)} photo of the {words(2)}." for _ in range(100)]
    kinds["contractions"] = [mixed(CONTRACTIONS, rng.randint(1, 6), rng.choice([" ", ""])) for _ in range(200)]
    kinds["numbers"] = [
        rng.choice(["{}", "-{}", "{}.5", "{}%", "${},000", "#{}", "{}th", "x{}"]).format(rng.randint(0, 10 ** rng.randint(1, 9)))
        for _ in range(100)
    ]
    for kind, ranges in SCRIPTS.items():
        kinds[kind] = [
            rng.choice(["", words(1) + " "]) + from_ranges(ranges, rng.randint(1, 10)) for _ in range(120)
        ]
    kinds["emoji"] = [mixed(EMOJI, rng.randint(1, 5), rng.choice([" ", ""])) for _ in range(150)]
    kinds["white space"] = [
        "".join(rng.choice([rng.choice(SPACES), rng.choice(WORDS)]) for _ in range(rng.randint(1, 8))) for _ in range(150)
    ]
    kinds["control characters"] = [mixed(CONTROLS, rng.randint(1, 5), "") for _ in range(100)]
    kinds["HTML entities"] = [mixed(ENTITIES, rng.randint(1, 5), rng.choice([" ", ""])) for _ in range(120)]
    kinds["punctuation"] = [mixed(PUNCTUATION, rng.randint(1, 8), rng.choice([" ", ""])) for _ in range(150)]
    kinds["special tokens"] = [mixed(SPECIAL, rng.randint(1, 4), rng.choice([" ", ""])) for _ in range(60)]
    kinds["wrongly decoded"] = [mixed(MOJIBAKE, rng.randint(1, 3), " ") for _ in range(40)]
    kinds["any code points"] = [
        "".join(chr(rng.choice([rng.randint(1, 0xD7FF), rng.randint(0xE000, 0x10FFFF)])) for _ in range(rng.randint(1, 6)))
        for _ in range(200)
    ]
    kinds["over-long"] = [
        rng.choice([words(rng.randint(70, 90)), rng.choice(EMOJI) * rng.randint(30, 60), "9" * rng.randint(70, 120),
                    rng.choice(WORDS) * rng.randint(20, 40), from_ranges(SCRIPTS["cjk"], rng.randint(30, 50))])
        for _ in range(80)
    ]
    return {kind: list(dict.fromkeys(texts)) for kind, texts in kinds.items()}


def fnv1a(ids):
    h = 0xCBF29CE484222325
    for byte in struct.pack(f"<{len(ids)}I", *ids):
        h = ((h ^ byte) * 0x100000001B3) & ((1 << 64) - 1)
    return f"{h:016x}"


def main(clip_dir):
    import open_clip

    tokenizer = CLIPTokenizerFast.from_pretrained(clip_dir)
    simple = open_clip.SimpleTokenizer()
    end = tokenizer.eos_token_id
    golden, differs, total = [], Counter(), Counter()
    examples = {}
    for kind, some in texts(random.Random(SEED)).items():
        for text in some:
            ids = tokenizer(text, truncation=True, max_length=77).input_ids
            golden.append([text, fnv1a(ids)])
            total[kind] += 1
            # open_clip pads with 0 behind the end.
            theirs = simple(text)[0].tolist()
            last = max(i for i, token in enumerate(theirs) if token == end)
            if theirs[: last + 1] != ids:
                differs[kind] += 1
                examples.setdefault(kind, (text, ids[:12], theirs[: min(last + 1, 12)]))
    lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in golden)
    (HERE / "clip_token_hashes.json").write_text(f"[{lines}]\n")
    print(f"{len(golden)} texts, open_clip differs for {sum(differs.values())}")
    for kind in total:
        print(f"  {kind}: {differs[kind]} of {total[kind]}", *map(ascii, examples.get(kind, ())))


if __name__ == "__main__":
    main(sys.argv[1])
