"""The words that invented rows are filled with, and how a column's name calls for them."""

from __future__ import annotations

# By the last word of a column's name; the first of each are the most frequent.
TEXTS: dict[str, tuple[str, ...]] = {
    "country": ("France", "Japan", "Brazil", "Kenya", "Canada", "Norway", "Spain", "India"),
    "nationality": ("French", "Japanese", "Brazilian", "Kenyan", "Canadian", "Norwegian"),
    "city": ("Lyon", "Osaka", "Recife", "Mombasa", "Halifax", "Bergen", "Seville", "Pune"),
    "town": ("Lyon", "Osaka", "Recife", "Mombasa", "Halifax", "Bergen", "Seville", "Pune"),
    "state": ("Texas", "Ohio", "Maine", "Oregon", "Nevada", "Iowa"),
    "province": ("Ontario", "Quebec", "Alberta", "Manitoba"),
    "region": ("north", "south", "east", "west"),
    "area": ("north", "south", "east", "west"),
    "continent": ("Europe", "Asia", "Africa", "America"),
    "status": ("open", "closed", "pending", "cancelled"),
    "gender": ("female", "male", "other"),
    "sex": ("female", "male"),
    "currency": ("EUR", "USD", "GBP", "JPY"),
    "language": ("English", "French", "Japanese", "Portuguese"),
    "color": ("black", "white", "blue", "red", "green"),
    "colour": ("black", "white", "blue", "red", "green"),
    "size": ("small", "medium", "large"),
    "priority": ("low", "medium", "high"),
    "severity": ("low", "medium", "high"),
    "channel": ("web", "store", "phone"),
    "method": ("card", "transfer", "cash"),
    "unit": ("piece", "box", "kg"),
    "department": ("sales", "finance", "research", "support"),
    "industry": ("retail", "energy", "health", "transport"),
    "month": ("January", "February", "March", "April", "May", "June", "July"),
    "day": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday"),
}

# What a text that says nothing else is taken for.
CLASSES = ("standard", "premium", "basic", "special")

ADJECTIVES = (
    "Amber", "Bright", "Calm", "Clear", "Copper", "Early", "Green", "Grand", "Hidden", "Iron", "Ivory", "Late",
    "Little", "Lunar", "Misty", "Noble", "North", "Old", "Open", "Quiet", "Rapid", "Red", "Silent", "Silver",
    "Solar", "South", "Stone", "Swift", "Tall", "Warm", "West", "Wild",
)  # fmt: skip
NOUNS = (
    "Anchor", "Arrow", "Badger", "Beacon", "Birch", "Bridge", "Cedar", "Cliff", "Comet", "Crane", "Delta",
    "Falcon", "Field", "Forge", "Garden", "Harbour", "Heron", "Hill", "Lantern", "Maple", "Meadow", "Mill",
    "Orchard", "Otter", "Pine", "Quarry", "River", "Sparrow", "Spring", "Summit", "Valley", "Willow",
)  # fmt: skip

FIRST_NAMES = (
    "Ada", "Ben", "Chidi", "Dana", "Elif", "Farid", "Greta", "Hugo", "Ines", "Jonas", "Kaya", "Liam", "Mina",
    "Noor", "Olga", "Pablo", "Quinn", "Rosa", "Sven", "Tara", "Uma", "Viktor", "Wanda", "Yusuf",
)  # fmt: skip
LAST_NAMES = (
    "Abara", "Berg", "Costa", "Dubois", "Eriksen", "Fischer", "Garcia", "Hassan", "Ito", "Jensen", "Kovacs",
    "Lindqvist", "Moreau", "Novak", "Okafor", "Petrov", "Rossi", "Silva", "Tanaka", "Weber",
)  # fmt: skip

# Words in the singular for tables and columns about people.
PEOPLE = frozenset({
    "person", "people", "customer", "client", "employee", "user", "author", "student", "teacher", "instructor",
    "patient", "doctor", "physician", "nurse", "member", "contact", "player", "driver", "staff", "manager",
    "owner", "artist", "singer", "actor", "director", "guest", "passenger", "supervisor", "advisor",
    "candidate", "visitor", "subscriber",
})  # fmt: skip

# Columns whose name ends so: those that are nobody's business and that nobody asks for by a value, short codes, prose.
LEFT_EMPTY = (
    "email", "mail", "phone", "fax", "telephone", "mobile", "url", "website", "password", "token", "address", "ip",
)  # fmt: skip
CODES = (
    "code", "sku", "number", "no", "reference", "ref", "zip", "postcode",
)  # fmt: skip
PROSE = (
    "description", "comment", "comments", "note", "notes", "text", "remark", "remarks", "details",
)  # fmt: skip
