"""Build `warehouse.duckdb`, the data of the invented retail chain Larkspur Markets.

    python warehouse.py [--out warehouse.duckdb] [--seed 7]

The same seed always gives the same content (about 200,000 rows in 13 tables, created by `schema.sql`). The
data has what real data has: growth, seasons, a weekly rhythm, popular and unsold products, cancelled orders,
missing values, closed stores and people who left. After the business date, 2026-01-31, nothing happens.
"""

from __future__ import annotations

import argparse
import csv
import os
import shutil
import tempfile
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from itertools import accumulate, product
from math import cos, pi
from pathlib import Path
from random import Random
from typing import NamedTuple

import duckdb

FIRST_DAY = date(2023, 2, 1)
BUSINESS_DATE = date(2026, 1, 31)
DAYS = [FIRST_DAY + timedelta(days=n) for n in range((BUSINESS_DATE - FIRST_DAY).days + 1)]
ORDERS, CUSTOMERS, EMPLOYEES, REFUNDS, STOCK_ROWS = 50_000, 6_000, 900, 4_000, 15_000

def words(text: str) -> list[str]:
    """The words of `text`."""
    return text.split()


REGIONS = {  # region → country and cities; the number of stores of each city is len() of its quarters
    "Northern England": ("United Kingdom", {
        "Leeds": ["Kirkgate", "Headingley", "Roundhay"], "Manchester": ["Deansgate", "Chorlton", "Didsbury"],
        "York": ["Micklegate", "Clifton"], "Newcastle": ["Quayside", "Jesmond"], "Sheffield": ["Crookes"]}),
    "Southern England": ("United Kingdom", {
        "Bristol": ["Redcliffe", "Bedminster"], "Brighton": ["Lanes", "Hove"],
        "Oxford": ["Jericho", "Cowley"], "Reading": ["Caversham"], "Exeter": ["Cathedral Yard"]}),
    "Scotland": ("United Kingdom", {
        "Glasgow": ["Merchant City", "Partick", "Govan"], "Edinburgh": ["Leith", "Morningside", "Haymarket"],
        "Dundee": ["Broughty Ferry"], "Inverness": ["Crown"]}),
    "Wales": ("United Kingdom", {
        "Cardiff": ["Canton", "Roath", "Bay"], "Swansea": ["Mumbles", "Uplands"], "Wrexham": ["Hope Street"]}),
    "Leinster": ("Ireland", {
        "Dublin": ["Rathmines", "Smithfield", "Clontarf", "Dundrum"], "Kilkenny": ["High Street"],
        "Drogheda": ["Boyne"], "Athlone": ["Shannon"]}),
    "Munster": ("Ireland", {
        "Cork": ["English Market", "Douglas", "Blackrock"], "Limerick": ["Milk Market", "Castletroy"],
        "Waterford": ["Viking Quarter"], "Tralee": ["Rose Garden"]}),
    "Western Norway": ("Norway", {
        "Bergen": ["Bryggen", "Sandviken", "Fana"], "Stavanger": ["Storhaug", "Madla"], "Haugesund": ["Harbour"]}),
    "Southern Sweden": ("Sweden", {
        "Malmo": ["Mollan", "Limhamn", "Rosengard"], "Lund": ["Botulf", "Gunnesbo"], "Helsingborg": ["Kullagatan"],
        "Kalmar": ["Larmtorget"]}),
}
CITIES_WITHOUT_STORE = ["Belfast", "Galway", "Oslo", "Uppsala", "Norwich"]
FORMATS = {"hyper": (0.20, 5200, 2.6), "super": (0.45, 1900, 1.3), "express": (0.35, 380, 0.6)}  # share, m², orders
CLOSED = {"York Clifton": date(2024, 3, 30), "Swansea Uplands": date(2025, 1, 18),
          "Glasgow Govan": date(2025, 8, 31), "Lund Gunnesbo": date(2023, 10, 14)}
LATE_OPENINGS = {"Bristol Redcliffe": date(2023, 5, 4), "Cork Blackrock": date(2023, 11, 16),
                 "Malmo Limhamn": date(2024, 4, 11), "Dublin Dundrum": date(2024, 9, 5),
                 "Edinburgh Haymarket": date(2025, 3, 13), "Stavanger Madla": date(2025, 6, 19),
                 "Manchester Didsbury": date(2025, 10, 2)}

FIRST_NAMES = words("""
Aaron Abigail Adam Aidan Aisling Alan Albert Alice Alison Amelia Amir Amy Andrew Angela Anna Anders Anja
Aoife Archie Arthur Astrid Barry Beatrice Ben Birgit Bjorn Bronagh Callum Carol Caroline Catherine Cathal
Charlotte Chloe Ciara Claire Colin Connor Craig Daisy Daniel Deirdre Declan Derek Diana Dylan Eamon Edith
Eileen Eirik Elin Eleanor Emily Emma Erik Esther Ethan Eva Fatima Felix Fiona Florence Frances Freya
Gareth George Gillian Grace Graham Gunnar Hannah Harriet Harry Hazel Heather Helen Henrik Ian Imogen
Ingrid Iris Isla Ivy Jack Jamie Jasmine Jenny Joan Johan Jonas Julia Kari Karin Keith Kirsten Lars Laura
Leah Liam Linnea Louise Lucy Magnus Maeve Malcolm Marie Martin Megan Nadia Niall Nora Oliver Omar Oscar
Owen Padraig Patrick Paula Priya Rachel Rhys Rory Rosa Ruth Sanjay Sarah Sean Siobhan Sofia Stella Sven
Tara Theo Thomas Tilda Tove Ursula Victor Violet Wendy Yasmin Zoe""")
LAST_NAMES = words("""
Adair Ahmed Andersen Andersson Armstrong Bailey Barker Barrett Berg Bergstrom Boyle Brady Brennan Burke
Byrne Callaghan Cameron Campbell Carlsen Carr Carter Chapman Clarke Collins Cooper Cox Craig Cunningham
Dahl Daly Davies Dempsey Dixon Doherty Donnelly Doyle Duffy Dunne Eriksen Eriksson Evans Farrell Fisher
Fitzgerald Flynn Forbes Foster Fraser Gallagher Gibson Graham Gray Griffiths Gustafsson Hagen Halvorsen
Hamilton Hansen Harper Haugen Hayes Healy Henderson Higgins Holm Hughes Hussain Iversen Jackson Jenkins
Johansen Johansson Jones Karlsson Kaur Keane Kearney Kelly Kennedy Khan Larsen Larsson Lewis Lind
Lindqvist Lloyd Lund Lynch Mackay Maguire Maher Marsh Mcbride Mccarthy Mcdonald Mckenna Moen Moore Moran
Morgan Morris Murphy Murray Nilsen Nolan Norris Nyberg Olsen Olsson Owens Parry Patel Pearce Persson
Power Price Quinn Reid Rees Reilly Roberts Robertson Ross Ryan Sandberg Shah Sharma Sinclair Singh
Solberg Stewart Strand Strom Sundberg Svensson Sweeney Taylor Thomson Tierney Turner Walsh Watson Webb
West Wilkins Wood Wright Young""")
JOBS = [("cashier", 36, 12.6), ("shelf stacker", 24, 12.2), ("baker", 8, 14.5), ("butcher", 6, 15.4),
        ("fishmonger", 3, 15.8), ("driver", 8, 13.9), ("team leader", 9, 16.7), ("cleaner", 6, 12.1)]

BRANDS = words("""
Fernhill Copperfield Nordvik Ballyoak Harrow Lark Meadowsweet Tidewater Ashgrove Bluebell Kestrel
Glenmore Hollybank Saltmarsh Thornbury Windmere Oakhurst Fjordgard Clover Brackenside""")
CATEGORIES = {  # category → department, typical price, kinds, things
    "Bakery": ("food", 2.8, "Sourdough Seeded Wholemeal Soft Rye Buttermilk",
               "Loaf Rolls Baguette Bagels Scones"),
    "Dairy": ("food", 2.4, "Organic Creamy Mature Skimmed Salted Farmhouse",
               "Milk Butter Cheddar Yoghurt Cream"),
    "Fruit": ("food", 2.6, "Ripe Sweet Crisp Organic Juicy Golden", "Apples Pears Plums Berries Oranges"),
    "Vegetables": ("food", 1.7, "Baby Organic Washed Loose Fresh Garden",
               "Carrots Potatoes Leeks Spinach Onions"),
    "Meat": ("food", 6.9, "Lean Smoked Free-Range Cured Aged Tender", "Bacon Sausages Steak Mince Ham"),
    "Fish": ("food", 8.2, "Wild Smoked Line-Caught Peppered Fresh Salted",
               "Salmon Cod Herring Mackerel Prawns"),
    "Snacks": ("food", 2.1, "Crunchy Salted Spicy Roasted Honey Baked",
               "Crisps Nuts Crackers Popcorn Oat Bars"),
    "Coffee": ("drinks", 6.4, "Dark Mild Single-Origin Espresso Decaf Breakfast",
               "Beans Ground Capsules Roast Blend"),
    "Tea": ("drinks", 3.6, "Green Black Mint Chamomile Earl-Grey Ginger",
               "Tea Bags Loose Tea Infusion Tea Tin"),
    "Juice": ("drinks", 2.9, "Cloudy Pressed Chilled Sparkling Tropical Cold",
               "Apple Juice Orange Juice Smoothie"),
    "Wine": ("drinks", 11.5, "Dry Crisp Oaked Vintage Reserve Rosy", "Red Wine White Wine Sparkling Wine"),
    "Beer": ("drinks", 3.2, "Pale Amber Hoppy Dark Alcohol-Free Wheat", "Ale Lager Stout Porter Cider"),
    "Kitchenware": ("home", 21.0, "Steel Copper Cast-Iron Oak Ceramic Nonstick",
               "Pan Bowl Kettle Knife Casserole"),
    "Cleaning": ("home", 4.1, "Lemon Fresh Power Gentle Pine Eco", "Spray Powder Wipes Detergent Sponge"),
    "Bedding": ("home", 38.0, "Linen Cotton Wool Feather Quilted Washed", "Duvet Pillow Sheet Blanket Throw"),
    "Lighting": ("home", 29.0, "Brass Rattan Glass Dimmable Solar Paper",
               "Lamp Lantern Pendant Spotlight Candle"),
    "Skin Care": ("beauty", 12.0, "Daily Hydrating Soothing Rich Vitamin Night",
               "Lotion Balm Serum Cleanser Mask"),
    "Hair Care": ("beauty", 7.5, "Volume Repair Silky Herbal Coconut Mild",
               "Shampoo Conditioner Mousse Hair Oil"),
    "Fragrance": ("beauty", 34.0, "Floral Woody Citrus Amber Rose Sea", "Perfume Cologne Mist Diffuser"),
    "Plants": ("garden", 9.5, "Climbing Dwarf Hardy Potted Trailing Evergreen",
               "Rose Fern Lavender Tomato Herb"),
    "Garden Tools": ("garden", 24.0, "Steel Folding Compact Long Ash-Handled Hand",
               "Rake Spade Shears Trowel Hose"),
    "Toys": ("kids", 18.0, "Wooden Plush Magnetic Mini Painted Giant", "Train Bear Puzzle Blocks Kite"),
    "Baby Care": ("kids", 8.8, "Gentle Newborn Travel Organic Soft Overnight",
               "Nappies Wipes Formula Bib Bottle"),
    "Stationery": ("kids", 4.6, "Recycled Lined Pastel Refillable Pocket School",
               "Notebook Pencils Markers Diary"),
}
PHRASES = {"Oat Bars", "Loose Tea", "Tea Bags", "Tea Tin", "Apple Juice", "Orange Juice", "Red Wine", "White Wine",
           "Sparkling Wine", "Hair Oil"}
PEAK = {"Fruit": (7, .4), "Beer": (7, .5), "Plants": (5, .9), "Garden Tools": (5, .8), "Juice": (7, .3), "Tea": (1, .3),
        "Toys": (12, .8), "Wine": (12, .5), "Fragrance": (12, .6), "Lighting": (11, .5), "Bedding": (11, .3),
        "Stationery": (9, .6), "Fish": (12, .2), "Meat": (6, .2), "Skin Care": (7, .2), "Coffee": (1, .15)}
PACKED = {"food": 5, "drinks": 4, "home": 1, "beauty": 2, "garden": 2, "kids": 2}  # the most units people take
DEMAND = {"food": 3.2, "drinks": 2.0, "home": 0.7, "beauty": 0.8, "garden": 0.6, "kids": 0.8}

SUPPLIERS = {
    "United Kingdom": "Pennine Produce,Albion Provisions,Severn Mills,Caledonian Catch,Mersey Trading,Yorkdale Dairies,"
                      "Cotswold Larder,Thameside Imports,Tyne Packing,Highland Bakers,Marlow & Finch,Cardigan Foods",
    "Ireland": "Shannon Creameries,Burren Foods,Liffey Wholesale,Kerrygate Farms,Claddagh Seafoods,Slaney Orchards,"
               "Boyne Valley Goods,Atlantic Rye",
    "Norway": "Fjell Fisk,Hardanger Frukt,Lofoten Seafood,Bryggen Varehus,Nordlys Design",
    "Sweden": "Skane Grain,Vanern Trade,Smaland Glas,Kullen Farms,Oresund Import,Dalarna Wood",
    "Denmark": "Jutland Meats,Funen Dairy,Kattegat Fish,Amager Home",
    "France": "Maison Delorme,Vignobles Carrel,Atelier Blanc,Provence Aromes",
    "Italy": "Caffe Montano,Cantina Verdi,Fratelli Russo",
    "Spain": "Huerta del Sol,Bodegas Ayala,Citricos Levante",
    "Netherlands": "Van Houten Bloemen,De Groene Kas,Rijn Logistiek,Delft Keramiek",
    "Germany": "Schwarzwald Haushalt,Kleine Werkstatt,Elbe Papier,Rhein Kosmetik",
    "Poland": "Wisla Meble,Mazury Toys,Krakow Textiles",
    "China": "Ningbo Homeware,Shenzhen Lighting,Golden Harbour Toys,Pearl River Goods",
}

PROMOTIONS = [  # name, kind, percent, first day, days, categories
    ("Spring Clean 2023", "percent", 20, "2023-03-06", 21, "Cleaning"),
    ("Easter Bake 2023", "bundle", 15, "2023-03-27", 14, "Bakery,Dairy"),
    ("Garden Opening 2023", "percent", 10, "2023-04-15", 30, "Plants,Garden Tools"),
    ("Grill Weeks 2023", "bundle", 25, "2023-06-10", 28, "Meat,Beer"),
    ("Berry Days 2023", "percent", 12, "2023-07-01", 14, "Fruit"),
    ("Back to School 2023", "coupon", 18, "2023-08-14", 28, "Stationery"),
    ("Harvest Fair 2023", "percent", 14, "2023-09-18", 21, "Vegetables,Fruit"),
    ("Tea Time 2023", "coupon", 10, "2023-10-09", 30, "Tea,Coffee"),
    ("Black Friday 2023", "percent", 35, "2023-11-20", 7, "Kitchenware,Lighting,Bedding"),
    ("Advent Treats 2023", "bundle", 22, "2023-12-01", 24, "Snacks,Wine"),
    ("Gift Week 2023", "coupon", 16, "2023-12-11", 12, "Toys,Fragrance"),
    ("January Sale 2024", "percent", 40, "2024-01-02", 21, "Bedding,Lighting"),
    ("Baby Month 2024", "coupon", 13, "2024-02-05", 28, "Baby Care"),
    ("Spring Clean 2024", "percent", 21, "2024-03-04", 21, "Cleaning"),
    ("Easter Bake 2024", "bundle", 17, "2024-03-18", 14, "Bakery,Dairy"),
    ("Garden Opening 2024", "percent", 11, "2024-04-13", 30, "Plants,Garden Tools"),
    ("Skin Days 2024", "coupon", 24, "2024-05-20", 14, "Skin Care"),
    ("Grill Weeks 2024", "bundle", 26, "2024-06-08", 28, "Meat,Beer"),
    ("Berry Days 2024", "percent", 9, "2024-07-01", 14, "Fruit"),
    ("Back to School 2024", "coupon", 19, "2024-08-12", 28, "Stationery"),
    ("Harvest Fair 2024", "percent", 12, "2024-09-16", 21, "Vegetables"),
    ("Fish Fridays 2024", "bundle", 23, "2024-10-01", 31, "Fish"),
    ("Black Friday 2024", "percent", 38, "2024-11-25", 7, "Kitchenware,Lighting,Toys"),
    ("Advent Treats 2024", "bundle", 27, "2024-12-01", 24, "Snacks,Wine"),
    ("Gift Week 2024", "coupon", 15, "2024-12-09", 12, "Toys,Fragrance"),
    ("January Sale 2025", "percent", 42, "2025-01-02", 21, "Bedding,Lighting"),
    ("Coffee Club 2025", "coupon", 8, "2025-02-10", 60, "Coffee"),
    ("Spring Clean 2025", "percent", 22, "2025-03-03", 21, "Cleaning"),
    ("Easter Bake 2025", "bundle", 18, "2025-04-07", 14, "Bakery,Dairy"),
    ("Garden Opening 2025", "percent", 14, "2025-04-19", 30, "Plants,Garden Tools"),
    ("Grill Weeks 2025", "bundle", 28, "2025-06-14", 28, "Meat,Beer"),
    ("Back to School 2025", "coupon", 20, "2025-08-11", 28, "Stationery"),
    ("Hair Week 2025", "coupon", 30, "2025-09-08", 10, "Hair Care"),
    ("Black Friday 2025", "percent", 36, "2025-11-24", 7, "Kitchenware,Lighting,Bedding,Toys"),
    ("Advent Treats 2025", "bundle", 29, "2025-12-01", 24, "Snacks,Wine"),
    ("Gift Week 2025", "coupon", 17, "2025-12-08", 14, "Toys,Fragrance"),
    ("January Sale 2026", "percent", 45, "2026-01-02", 30, "Bedding,Lighting,Kitchenware"),
    ("Green Start 2026", "bundle", 16, "2026-01-12", 20, "Vegetables,Juice"),
    ("Student Saver 2026", "coupon", 12, "2026-01-19", 13, ""),  # announced, never redeemed
    ("Senior Tuesdays 2024", "coupon", 5, "2024-02-06", 60, ""),
]


class Store(NamedTuple):
    """A row of `store`, and how many orders it draws against the others."""

    id: int
    name: str
    region: int
    city: str
    format: str
    opened: date
    closed: date | None
    area: int
    weight: float


class Item(NamedTuple):
    """A row of `product`, and how often it is put into a basket against the others."""

    id: int
    name: str
    category: int
    supplier: int
    price: int  # cents
    cost: int  # cents
    launched: date
    status: str
    demand: float


class Sale(NamedTuple):
    """An order line of a completed order, which may be refunded."""

    order: int
    item: int
    day: date
    quantity: int
    net: int  # cents


Row = Sequence[object]
Tables = dict[str, list[Row]]


def build(path: Path, seed: int = 7) -> None:
    """Write the database to `path`, replacing what is there only when the new one is complete."""
    path = Path(path)
    tables = generate(seed)
    ddl = Path(__file__).with_name("schema.sql").read_text(encoding="utf-8")
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=".warehouse-", dir=path.parent))
    try:
        aside = folder / "warehouse.duckdb"
        with duckdb.connect(str(aside)) as connection:
            connection.execute(ddl)
            for name, rows in tables.items():
                source = folder / "rows.csv"
                with source.open("w", encoding="utf-8", newline="") as file:
                    csv.writer(file).writerows(rows)
                quoted = str(source).replace("'", "''")
                connection.execute(f"""COPY "{name}" FROM '{quoted}' (FORMAT csv, HEADER false)""")
            connection.execute("CHECKPOINT")
        os.replace(aside, path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def generate(seed: int = 7) -> Tables:
    """All rows by table, in an order in which foreign keys can be checked. Amounts are text with two decimals."""
    random = Random(seed)
    names = [f"{first} {last}" for first, last in product(FIRST_NAMES, LAST_NAMES)]
    random.shuffle(names)
    stores = make_stores(random)
    employees, staff = make_employees(random, stores, names[:EMPLOYEES])
    customers, buyers = make_customers(random, stores, names[EMPLOYEES:EMPLOYEES + CUSTOMERS])
    suppliers = make_suppliers(random)
    items = make_items(random, len(suppliers))
    orders, lines, sales = make_orders(random, stores, staff, buyers, items)
    return {
        "region": [(n, name, country) for n, (name, (country, _)) in enumerate(REGIONS.items(), 1)],
        "store": [store[:8] for store in stores],
        "employee": employees,
        "customer": customers,
        "supplier": suppliers,
        "category": [(n, name, spec[0]) for n, (name, spec) in enumerate(CATEGORIES.items(), 1)],
        "product": [(*item[:4], euros(item.price), euros(item.cost), *item[6:8]) for item in items],
        "promotion": [(n, name, kind, percent, start, date.fromisoformat(start) + timedelta(days=days - 1))
                      for n, (name, kind, percent, start, days, _) in enumerate(PROMOTIONS, 1)],
        "order": orders,
        "order_line": lines,
        "refund": make_refunds(random, sales),
        "stock": make_stock(random, stores, items),
        "fiscal_calendar": make_calendar(),
    }


def make_stores(random: Random) -> list[Store]:
    """Stores in an order unrelated to their region, as they were opened."""
    places = [(number, city, quarter) for number, (_, cities) in enumerate(REGIONS.values(), 1)
              for city, quarters in cities.items() for quarter in quarters]
    opening: dict[str, date] = {}
    for _, city, quarter in places:
        name = f"{city} {quarter}"
        opening[name] = LATE_OPENINGS.get(name) or date(1996, 1, 1) + timedelta(days=random.randrange(9600))
    places.sort(key=lambda place: opening[f"{place[1]} {place[2]}"])
    stores = []
    for number, (region, city, quarter) in enumerate(places, 1):
        name = f"{city} {quarter}"
        kind = random.choices(list(FORMATS), [share for share, _, _ in FORMATS.values()])[0]
        _, area, weight = FORMATS[kind]
        stores.append(Store(number, name, region, city, kind, opening[name], CLOSED.get(name),
                            round(area * random.uniform(0.7, 1.35)), weight * random.uniform(0.7, 1.4)))
    return stores


def make_employees(random: Random, stores: list[Store], names: list[str]) -> tuple[list[Row], dict[int, list[Row]]]:
    """Rows of `employee`, and the same by store. Every store has somebody on every day it is open."""
    posts: list[tuple[Store, str]] = [(store, "store manager") for store in stores]
    posts += [(store, "cashier") for store in stores for _ in range(2)]
    titles, shares = [title for title, _, _ in JOBS], [share for _, share, _ in JOBS]
    while len(posts) < len(names):
        store = random.choices(stores, [store.weight for store in stores])[0]
        posts.append((store, random.choices(titles, shares)[0]))
    drafts = []
    wages = {title: wage for title, _, wage in JOBS} | {"store manager": 27.5}
    for index, ((store, title), name) in enumerate(zip(posts, names, strict=True)):
        end = store.closed or BUSINESS_DATE
        pioneer = index < 3 * len(stores)  # these cover the store's whole time
        start = max(store.opened, date(2004, 1, 1))
        if pioneer:
            hired = max(start, date(2004, 1, 1) + timedelta(days=random.randrange(6500)))
            hired = min(hired, max(store.opened, FIRST_DAY))
        else:
            hired = start + timedelta(days=int((end - start).days * random.random() ** 0.5 * 0.99))
        left = store.closed
        if not pioneer and random.random() < 0.28:
            left = hired + timedelta(days=20 + int(max(0, (end - hired).days - 20) * random.random()))
            left = None if left >= BUSINESS_DATE else min(left, end)
        years = (BUSINESS_DATE - hired).days / 365
        wage = wages[title] * (1 + 0.012 * years) * random.uniform(0.94, 1.09)
        drafts.append((hired, name, store.id, title, left, f"{wage:.2f}"))
    drafts.sort(key=lambda draft: (draft[0], draft[1]))
    rows: list[Row] = [(n, name, store, title, hired, left, wage)
                       for n, (hired, name, store, title, left, wage) in enumerate(drafts, 1)]
    staff: dict[int, list[Row]] = {store.id: [] for store in stores}
    for row in rows:
        staff[row[2]].append(row)  # type: ignore[index]
    return rows, staff


class Buyers(NamedTuple):
    """Customers of one city in the order in which they joined, with running sums of how often they buy."""

    joined: list[date]
    ids: list[int]
    weights: list[float]

    def pick(self, random: Random, day: date) -> int | None:
        """A customer who had joined by `day`."""
        count = bisect_right(self.joined, day)
        if not count or not self.weights[count - 1]:
            return None
        return self.ids[bisect_right(self.weights, random.random() * self.weights[count - 1], 0, count - 1)]


def make_customers(random: Random, stores: list[Store], names: list[str]) -> tuple[list[Row], dict[str, Buyers]]:
    """Rows of `customer`, and buyers by city ("" = everywhere). About one in eight never buys."""
    cities = sorted({store.city for store in stores}) + CITIES_WITHOUT_STORE
    shares = [sum(store.weight for store in stores if store.city == city) or 0.35 for city in cities]
    span = (BUSINESS_DATE - date(2018, 3, 1)).days
    joined = sorted(date(2018, 3, 1) + timedelta(days=int(span * random.random() ** 0.85)) for _ in names)
    rows: list[Row] = []
    pools: dict[str, list[tuple[date, int, float]]] = {city: [] for city in ["", *cities]}
    for number, (name, day) in enumerate(zip(names, joined, strict=True), 1):
        city = random.choices(cities, shares)[0]
        segment = random.choices(["family", "student", "senior", "business"], [44, 21, 23, 12])[0]
        activity = 0.0 if random.random() < 0.1 else random.paretovariate(1.6)
        activity = min(activity, 25) * {"family": 1.3, "student": 0.7, "senior": 0.9, "business": 1.2}[segment]
        loyal = random.random() * (1 + min(activity, 6) / 4)
        tier = "gold" if loyal > 1.3 else "silver" if loyal > 0.85 else "bronze" if loyal > 0.4 else None
        host = random.choice(["example.com", "example.org", "example.net"])
        email = None if random.random() < 0.13 else f"{name.lower().replace(' ', '.')}@{host}"
        rows.append((number, name, city, segment, tier, day, email))
        for pool in ("", city):
            pools[pool].append((day, number, activity))
    return rows, {city: Buyers([day for day, _, _ in pool], [number for _, number, _ in pool],
                               list(accumulate(weight for _, _, weight in pool))) for city, pool in pools.items()}


def make_suppliers(random: Random) -> list[Row]:
    """Rows of `supplier`: the farther, the longer the lead; one in eight is not rated."""
    far = {"China": 38, "Poland": 14, "Italy": 12, "Spain": 13, "France": 10, "Germany": 9, "Netherlands": 8}
    named = [(name, country) for country, text in SUPPLIERS.items() for name in text.split(",")]
    random.shuffle(named)
    return [(number, name, country, round(far.get(country, 5) * random.uniform(0.5, 1.5)) + 1,
             None if random.random() < 0.13 else random.choices([1, 2, 3, 4, 5], [9, 11, 24, 36, 20])[0])
            for number, (name, country) in enumerate(named, 1)]


def make_items(random: Random, suppliers: int) -> list[Item]:
    """25 products a category. Demand follows a power law; a few products never sell."""
    items: list[Item] = []
    for number, (group, typical, kinds, things) in enumerate(CATEGORIES.values(), 1):
        nouns = split_phrases(things)
        variants = list(product(BRANDS, kinds.split(), nouns))
        sources = random.sample(range(1, suppliers + 1), 7)
        for brand, kind, noun in random.sample(variants, 25):
            price = max(45, round(100 * typical * random.lognormvariate(0, 0.42)))
            price = price - price % 10 + random.choice([5, 9, 9, 9, 0])
            launched = date(2019, 2, 1) + timedelta(days=int(2500 * random.random() ** 1.3))
            status = random.choices("ADS", [82, 10, 8])[0]
            demand = DEMAND[group] * min(random.paretovariate(1.15), 20) * (0.35 if status == "D" else 1)
            demand *= 0 if random.random() < 0.03 else 1
            items.append(Item(0, f"{brand} {kind} {noun}", number, random.choice(sources), price,
                              round(price * random.uniform(0.42, 0.78)), launched, status, demand))
    random.shuffle(items)
    return [item._replace(id=number) for number, item in enumerate(items, 1)]


def split_phrases(text: str) -> list[str]:
    """Words of `text`, with the two-word things of PHRASES kept together."""
    words, nouns = text.split(), []
    while words:
        pair = " ".join(words[:2])
        size = 2 if pair in PHRASES else 1
        nouns.append(" ".join(words[:size]))
        words = words[size:]
    return nouns


def make_orders(random: Random, stores: list[Store], staff: dict[int, list[Row]], buyers: dict[str, Buyers],
                items: list[Item]) -> tuple[list[Row], list[Row], list[Sale]]:
    """Rows of `order` and `order_line`, and the sales that may come back."""
    weights = [day_weight(random, day) for day in DAYS]
    counts = [0] * len(DAYS)
    for index in random.choices(range(len(DAYS)), weights, k=ORDERS):
        counts[index] += 1
    orders: list[Row] = []
    lines: list[Row] = []
    sales: list[Sale] = []
    reach: list[float] = []
    shelf: list[Item] = []
    for index, day in enumerate(DAYS):
        if not shelf or day.day == 1:  # assortment and demand change by the month
            shelf = [item for item in items if item.launched <= day]
            reach = list(accumulate(item.demand * season(item, day.month) for item in shelf))
        offers = {category: (number, percent)
                  for number, (_, _, percent, start, days, names) in enumerate(PROMOTIONS, 1)
                  if 0 <= (day - date.fromisoformat(start)).days < days
                  for category in names.split(",") if category}
        trading = [store for store in stores if store.opened <= day and (store.closed is None or day < store.closed)]
        drift = 0.90 + 0.09 * index / len(DAYS)  # prices rise towards today's list price
        for store in random.choices(trading, [store.weight for store in trading], k=counts[index]):
            number = len(orders) + 1
            order = make_order(random, number, day, index / len(DAYS), store, staff[store.id], buyers)
            orders.append(order)
            lines_before = len(lines)
            for item in basket(random, shelf, reach, order[2] is not None):
                category = list(CATEGORIES)[item.category - 1]
                quantity = 1 + int(random.random() ** 2.2 * PACKED[CATEGORIES[category][0]])
                price = round(item.price * drift * random.uniform(0.97, 1.03))
                promotion, percent = offers.get(category, (None, 0)) if random.random() < 0.72 else (None, 0)
                net = round(quantity * price * (100 - percent) / 100)
                lines.append((number, len(lines) - lines_before + 1, item.id, promotion, quantity, euros(price),
                              None if order[7] == "X" else euros(net)))
                if order[7] == "C":
                    sales.append(Sale(number, item.id, day, quantity, net))
    return orders, lines, sales


def day_weight(random: Random, day: date) -> float:
    """How many orders a day draws: growth over the years, the week's rhythm, the year's seasons, chance."""
    growth = 1 + 0.35 * (day - FIRST_DAY).days / len(DAYS)
    week = (0.82, 0.80, 0.90, 1.0, 1.28, 1.42, 0.78)[day.weekday()]
    year = {11: 1.12, 12: 1.38, 1: 0.86, 2: 0.9, 7: 1.06, 8: 1.04}.get(day.month, 1.0)
    closed = 0.15 if is_holiday(day) else 1.0
    return growth * week * year * closed * random.uniform(0.85, 1.15)


def season(item: Item, month: int) -> float:
    """Demand of the item in that month against its yearly mean; seasonal items are sold half of the year only."""
    peak, swing = PEAK.get(list(CATEGORIES)[item.category - 1], (12, 0.08))
    wave = cos(2 * pi * (month - peak) / 12)
    return (1 + swing * wave) * (float(wave > 0) if item.status == "S" else 1)


def make_order(random: Random, number: int, day: date, progress: float, store: Store, staff: list[Row],
               buyers: dict[str, Buyers]) -> Row:
    """One row of `order`: online buyers are known, a third of those in the store are not."""
    web, app = 0.20 + 0.05 * progress, 0.06 + 0.14 * progress
    channel = random.choices(["store", "web", "app"], [1 - web - app, web, app])[0]
    customer = None
    if channel != "store" or random.random() > 0.34:
        pool = buyers[store.city] if random.random() < 0.86 else buyers[""]
        customer = pool.pick(random, day) or buyers[""].pick(random, day)
    present = [row for row in staff if row[4] <= day and (row[5] is None or day < row[5])]  # type: ignore[operator]
    employee = random.choices(present, [3 if row[3] == "cashier" else 1 for row in present])[0][0]
    payment = random.choices(["card", "cash", "voucher"], [62, 31, 7] if channel == "store" else [90, 0, 10])[0]
    age = (BUSINESS_DATE - day).days
    pending = 0.55 if age < 6 and channel != "store" else 0.12 if age < 20 else 0.002
    cancelled = 0.025 if channel == "store" else 0.085
    status = random.choices("CPX", [1 - pending - cancelled, pending, cancelled])[0]
    return (number, store.id, customer, employee, day, channel, payment, status)


def basket(random: Random, shelf: list[Item], reach: list[float], known: bool) -> list[Item]:
    """One to eight different products, more where the customer is known."""
    size = 1 + min(7, int(random.expovariate(0.475 if known else 0.65)))
    chosen: dict[int, Item] = {}
    while len(chosen) < size:
        item = shelf[bisect_right(reach, random.random() * reach[-1])]
        chosen[item.id] = item
    return list(chosen.values())


def make_refunds(random: Random, sales: list[Sale]) -> list[Row]:
    """Rows of `refund`, by date: some units of a sale, up to six weeks after it."""
    drafts = []
    for sale in random.sample(sales, REFUNDS):
        day = min(sale.day + timedelta(days=1 + int(random.expovariate(0.09)) % 42), BUSINESS_DATE)
        units = random.randint(1, sale.quantity)
        reason = random.choices(["damaged", "wrong item", "late", "changed mind", None], [34, 21, 12, 25, 8])[0]
        amount = sale.net * units / sale.quantity * random.choice([1, 1, 1, 0.9, 0.5])
        drafts.append((day, sale.order, sale.item, units, reason, euros(max(1, round(amount)))))
    drafts.sort(key=lambda draft: draft[:3])
    return [(number, order, item, day, units, reason, amount)
            for number, (day, order, item, units, reason, amount) in enumerate(drafts, 1)]


def make_stock(random: Random, stores: list[Store], items: list[Item]) -> list[Row]:
    """Rows of `stock`: open stores carry part of the products that are not discontinued; some run low."""
    pairs = [(store, item) for store in stores if store.closed is None for item in items
             if item.status != "D" or random.random() < 0.2]
    rows: list[Row] = []
    for store, item in sorted(random.sample(pairs, STOCK_ROWS), key=lambda pair: (pair[0].id, pair[1].id)):
        reorder = 4 + int(random.random() * 30 * min(store.weight, 2.5))
        on_hand = 0 if random.random() < 0.03 else int(reorder * random.uniform(0.55, 3.4))
        counted = BUSINESS_DATE - timedelta(days=1 + int(random.random() ** 1.7 * 120))
        rows.append((store.id, item.id, on_hand, reorder, counted))
    return rows


def make_calendar() -> list[Row]:
    """Rows of `fiscal_calendar`. Fiscal year N runs from 1 February N-1 to 31 January N."""
    rows: list[Row] = []
    for day in DAYS:
        period = (day.month - 2) % 12 + 1
        year = day.year + (day.month > 1)
        week = (day - date(year - 1, 2, 1)).days // 7 + 1
        rows.append((day, year, (period - 1) // 3 + 1, period, week, is_holiday(day)))
    return rows


def is_holiday(day: date) -> bool:
    """Days on which most stores are shut: New Year, Good Friday, Easter Monday, May Day, Christmas."""
    easter = {2023: date(2023, 4, 9), 2024: date(2024, 3, 31), 2025: date(2025, 4, 20)}.get(day.year)
    around_easter = easter is not None and (day - easter).days in (-2, 1)
    return around_easter or (day.month, day.day) in {(1, 1), (5, 1), (12, 25), (12, 26)}


def euros(cents: int) -> str:
    """Exact text of an amount in cents."""
    return f"{cents // 100}.{cents % 100:02d}"


def write_summary(path: Path) -> Iterable[str]:
    """One line a table with its number of rows."""
    with duckdb.connect(str(path), read_only=True) as connection:
        for (name,) in connection.execute("SELECT table_name FROM duckdb_tables() ORDER BY table_name").fetchall():
            row = connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()
            yield f"{name:16}{row[0] if row else 0:>9,}"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Build the example warehouse of Larkspur Markets.")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("warehouse.duckdb"), metavar="FILE")
    parser.add_argument("--seed", type=int, default=7, help="same seed, same content (default: 7)")
    options = parser.parse_args()
    build(options.out, options.seed)
    print(f"wrote {options.out}", *write_summary(options.out), sep="\n")


if __name__ == "__main__":
    main()
