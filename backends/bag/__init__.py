"""Bags of rows, summed: one way each, as ``suite/cases/operations/bag.py`` says."""
