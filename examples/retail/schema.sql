-- The warehouse of Larkspur Markets, in DuckDB's dialect. `warehouse.py` creates its tables from this file.
-- Column names are unique in the whole schema, except keys, which have the same name on both sides of a join.

CREATE TABLE region (
    region_id INTEGER PRIMARY KEY,
    region_name VARCHAR NOT NULL,
    country VARCHAR NOT NULL
);
COMMENT ON TABLE region IS 'sales regions';
COMMENT ON COLUMN region.region_name IS 'such as Scotland';
COMMENT ON COLUMN region.country IS 'such as Ireland';

CREATE TABLE store (
    store_id INTEGER PRIMARY KEY,
    store_name VARCHAR NOT NULL,
    region_id INTEGER NOT NULL REFERENCES region (region_id),
    city VARCHAR NOT NULL,
    format VARCHAR NOT NULL,
    opened_on DATE NOT NULL,
    closed_on DATE,
    floor_area INTEGER NOT NULL
);
COMMENT ON TABLE store IS 'shops, the closed ones too';
COMMENT ON COLUMN store.store_name IS 'town and quarter, such as Leeds Kirkgate';
COMMENT ON COLUMN store.format IS 'hyper, super or express';
COMMENT ON COLUMN store.closed_on IS 'NULL = open';
COMMENT ON COLUMN store.floor_area IS 'square metres';

CREATE TABLE employee (
    employee_id INTEGER PRIMARY KEY,
    full_name VARCHAR NOT NULL,
    store_id INTEGER NOT NULL REFERENCES store (store_id),
    job_title VARCHAR NOT NULL,
    hired_on DATE NOT NULL,
    left_on DATE,
    hourly_wage DECIMAL(6, 2) NOT NULL
);
COMMENT ON TABLE employee IS 'people who work or worked in a store';
COMMENT ON COLUMN employee.job_title IS 'such as cashier or store manager';
COMMENT ON COLUMN employee.left_on IS 'NULL = still here';
COMMENT ON COLUMN employee.hourly_wage IS 'euros';

CREATE TABLE customer (
    customer_id INTEGER PRIMARY KEY,
    customer_name VARCHAR NOT NULL,
    home_city VARCHAR NOT NULL,
    segment VARCHAR NOT NULL,
    tier VARCHAR,
    joined_on DATE NOT NULL,
    email VARCHAR
);
COMMENT ON TABLE customer IS 'registered customers';
COMMENT ON COLUMN customer.segment IS 'family, student, senior or business';
COMMENT ON COLUMN customer.tier IS 'loyalty tier: bronze, silver, gold; NULL = none';
COMMENT ON COLUMN customer.email IS 'NULL = unknown';

CREATE TABLE supplier (
    supplier_id INTEGER PRIMARY KEY,
    supplier_name VARCHAR NOT NULL,
    supplier_country VARCHAR NOT NULL,
    lead_days INTEGER NOT NULL,
    rating INTEGER
);
COMMENT ON TABLE supplier IS 'who delivers our products';
COMMENT ON COLUMN supplier.lead_days IS 'days from order to delivery';
COMMENT ON COLUMN supplier.rating IS '1 (poor) to 5; NULL = not rated';

CREATE TABLE category (
    category_id INTEGER PRIMARY KEY,
    category_name VARCHAR NOT NULL,
    "group" VARCHAR NOT NULL
);
COMMENT ON TABLE category IS 'product categories';
COMMENT ON COLUMN category.category_name IS 'such as Bakery';
COMMENT ON COLUMN category."group" IS 'department: food, drinks, home, beauty, garden or kids';

CREATE TABLE product (
    product_id INTEGER PRIMARY KEY,
    product_name VARCHAR NOT NULL,
    category_id INTEGER NOT NULL REFERENCES category (category_id),
    supplier_id INTEGER NOT NULL REFERENCES supplier (supplier_id),
    list_price DECIMAL(8, 2) NOT NULL,
    unit_cost DECIMAL(8, 2) NOT NULL,
    launched_on DATE NOT NULL,
    product_status VARCHAR NOT NULL
);
COMMENT ON TABLE product IS 'articles we sell or sold';
COMMENT ON COLUMN product.list_price IS 'euros';
COMMENT ON COLUMN product.unit_cost IS 'euros, what one unit costs us';
COMMENT ON COLUMN product.product_status IS 'A = active, D = discontinued, S = seasonal';

CREATE TABLE promotion (
    promotion_id INTEGER PRIMARY KEY,
    promotion_name VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,
    discount_pct INTEGER NOT NULL,
    starts_on DATE NOT NULL,
    ends_on DATE NOT NULL
);
COMMENT ON TABLE promotion IS 'promotions, past and running';
COMMENT ON COLUMN promotion.kind IS 'percent, bundle or coupon';
COMMENT ON COLUMN promotion.discount_pct IS 'percent, such as 15';
COMMENT ON COLUMN promotion.ends_on IS 'last day';

CREATE TABLE "order" (
    order_id INTEGER PRIMARY KEY,
    store_id INTEGER NOT NULL REFERENCES store (store_id),
    customer_id INTEGER REFERENCES customer (customer_id),
    employee_id INTEGER NOT NULL REFERENCES employee (employee_id),
    order_date DATE NOT NULL,
    channel VARCHAR NOT NULL,
    payment VARCHAR NOT NULL,
    order_status VARCHAR NOT NULL
);
COMMENT ON TABLE "order" IS 'one purchase';
COMMENT ON COLUMN "order".customer_id IS 'NULL = walk-in';
COMMENT ON COLUMN "order".employee_id IS 'who served or packed it';
COMMENT ON COLUMN "order".channel IS 'store, web or app';
COMMENT ON COLUMN "order".payment IS 'card, cash or voucher';
COMMENT ON COLUMN "order".order_status IS 'C = completed, P = pending, X = cancelled';

CREATE TABLE order_line (
    order_id INTEGER NOT NULL REFERENCES "order" (order_id),
    line_no INTEGER NOT NULL,
    product_id INTEGER NOT NULL REFERENCES product (product_id),
    promotion_id INTEGER REFERENCES promotion (promotion_id),
    quantity INTEGER NOT NULL,
    unit_price DECIMAL(8, 2) NOT NULL,
    net_amount DECIMAL(10, 2),
    PRIMARY KEY (order_id, line_no)
);
COMMENT ON TABLE order_line IS 'one product within an order';
COMMENT ON COLUMN order_line.promotion_id IS 'NULL = no promotion';
COMMENT ON COLUMN order_line.unit_price IS 'euros before discount';
COMMENT ON COLUMN order_line.net_amount IS 'euros paid for the line; NULL on cancelled orders';

CREATE TABLE refund (
    refund_id INTEGER PRIMARY KEY,
    order_id INTEGER NOT NULL REFERENCES "order" (order_id),
    product_id INTEGER NOT NULL REFERENCES product (product_id),
    refund_date DATE NOT NULL,
    units INTEGER NOT NULL,
    reason VARCHAR,
    refund_amount DECIMAL(10, 2) NOT NULL
);
COMMENT ON TABLE refund IS 'goods brought back';
COMMENT ON COLUMN refund.reason IS 'damaged, wrong item, late or changed mind; NULL = not given';
COMMENT ON COLUMN refund.refund_amount IS 'euros paid back';

CREATE TABLE stock (
    store_id INTEGER NOT NULL REFERENCES store (store_id),
    product_id INTEGER NOT NULL REFERENCES product (product_id),
    on_hand INTEGER NOT NULL,
    reorder_point INTEGER NOT NULL,
    counted_on DATE NOT NULL,
    PRIMARY KEY (store_id, product_id)
);
COMMENT ON TABLE stock IS 'what lies in each store';
COMMENT ON COLUMN stock.on_hand IS 'units';
COMMENT ON COLUMN stock.reorder_point IS 'low stock = on_hand below this';
COMMENT ON COLUMN stock.counted_on IS 'last count';

CREATE TABLE fiscal_calendar (
    calendar_date DATE PRIMARY KEY,
    fiscal_year INTEGER NOT NULL,
    fiscal_quarter INTEGER NOT NULL,
    fiscal_period INTEGER NOT NULL,
    fiscal_week INTEGER NOT NULL,
    is_holiday BOOLEAN NOT NULL
);
COMMENT ON TABLE fiscal_calendar IS 'one row a day; fiscal year N ends on 31 January N';
COMMENT ON COLUMN fiscal_calendar.fiscal_quarter IS '1 (February to April) to 4';
COMMENT ON COLUMN fiscal_calendar.fiscal_period IS 'month of the fiscal year, 1 = February';
COMMENT ON COLUMN fiscal_calendar.fiscal_week IS '1 to 53';
