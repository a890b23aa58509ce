"""The pack for stock reports as CSV files, whatever their columns are called: data only."""
