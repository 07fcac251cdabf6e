"""The people and the goods of the demo's shop."""

from typing import Final

FIRST_NAMES: Final = (
    "Aziza", "Bela", "Chiara", "Dilnoza", "Emil", "Farrukh", "Greta", "Hana", "Ilse", "Jasur", "Kamila", "Lukas", "Malika",
    "Nora", "Otabek", "Petra", "Rustam", "Sardor", "Tilda", "Umida", "Viktor", "Yulduz", "Zuzana", "Anna", "Jürgen",
)  # fmt: skip
LAST_NAMES: Final = (
    "Abdullayev", "Brandt", "Costa", "Dahl", "Egamberdiyeva", "Fischer", "Gruber", "Horváth", "Ismoilova", "Jansen", "Karimov",
    "Lindqvist", "Moreau", "Novák", "Olimov", "Petrov", "Qodirova", "Rossi", "Saidov", "Toth", "Usmonov", "Weber", "Yusupova",
)  # fmt: skip
GOODS: Final = (
    ("silk scarf", 39.0), ("ceramic bowl", 18.5), ("tea pot", 44.9), ("green tea 250 g", 7.2), ("dried apricots 500 g", 6.8),
    ("saffron 2 g", 11.0), ("wool blanket", 89.0), ("copper jug", 52.0), ("walnut board", 34.5), ("ikat cushion", 27.9),
    ("linen towel", 14.0), ("notebook", 5.5), ("brass lamp", 119.0), ("felt slippers", 24.0), ("camel bell", 9.9),
)  # fmt: skip
PAGES: Final = ("/", "/new", "/sale", "/textiles", "/kitchen", "/tea", "/about", "/delivery", "/basket")
AGENTS: Final = ("Firefox/140 (Linux)", "Chrome/141 (Android)", "Safari/19 (iPhone)", "Chrome/141 (Windows)")
