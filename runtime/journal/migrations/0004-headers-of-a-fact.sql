-- Canonical JSON of the headers that the source's rules read, part of what the proof covers; NULL: none.
ALTER TABLE intake ADD COLUMN headers TEXT;
