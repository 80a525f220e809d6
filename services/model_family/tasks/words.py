"""The closed vocabulary of the generator: small, so that each word is seen often enough."""

NAMES = (
    "Anna", "Ben", "Clara", "David", "Emma", "Felix", "Grace", "Hugo", "Ivy", "Jack",
    "Kate", "Leo", "Mia", "Noah", "Olga", "Paul", "Rosa", "Sam", "Tina", "Umar",
    "Vera", "Will", "Yuki", "Zoe", "Lena", "Omar", "Nina", "Max", "Ruth", "Tom",
)  # fmt: skip

THINGS = (
    "apples", "pears", "books", "pens", "coins", "cards", "stamps", "shells", "eggs", "plums",
    "cups", "keys", "balls", "stones", "tickets", "flowers", "nuts", "candles", "buttons", "cakes",
)  # fmt: skip

OBJECTS = (
    "key", "ball", "book", "ring", "coin", "letter", "apple", "phone", "map", "hat",
    "cup", "pen", "lamp", "shoe", "flute",
)  # fmt: skip

CONTAINERS = (
    "box", "bag", "drawer", "basket", "car", "chest", "tent", "suitcase", "cupboard", "boat",
    "van", "crate",
)  # fmt: skip

ROOMS = ("kitchen", "garden", "office", "garage", "bedroom", "hall", "attic", "cellar")

CITIES = (
    "Paris", "Rome", "Oslo", "Cairo", "Lima", "Tokyo", "Delhi", "Berlin", "Madrid", "Athens",
    "Dublin", "Vienna",
)  # fmt: skip

JOBS = (
    "cook", "nurse", "pilot", "farmer", "baker", "teacher", "painter", "driver", "lawyer",
    "singer",
)  # fmt: skip

PETS = ("cat", "dog", "parrot", "rabbit", "horse", "goat", "turtle", "hamster")

COLOURS = ("red", "blue", "green", "yellow", "black", "white", "brown", "purple", "orange", "grey")

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip

NOUNS = (
    "sun", "river", "tree", "stone", "cloud", "bird", "house", "road", "fish", "hill",
    "rain", "wind", "star", "lake", "bread", "clock", "door", "snow", "moon", "sand",
    "bridge", "train", "ship", "leaf",
)  # fmt: skip

# Without "a" and "i": as words they are common, and the tokenizer sets other letters apart.
LETTERS = tuple("bcdefghjklmnopqrstuvwxyz")

VARIABLES = tuple("bcdefghkmnpqrstuvwxyz")
