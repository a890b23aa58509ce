-- Eight bytes over everything that a row says (runtime.journal.intake.proof): `journal repair` takes what proves right.
ALTER TABLE intake ADD COLUMN proof BLOB;
