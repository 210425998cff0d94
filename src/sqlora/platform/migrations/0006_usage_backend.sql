-- Which backend answered: what this machine answered is on no one's bill, what a cloud answered is.
ALTER TABLE usage ADD COLUMN backend TEXT NOT NULL DEFAULT 'local';
