"""Decides which profiles of a slice meet which rules, on whole columns.

A rule is a tree of :mod:`catalog.pql.nodes`. What its parts are is worked out in *spaces*: the
profiles of the slice, their events, elements of lists, pairs of these; a quantifier or an
aggregate reduces one space to the one around it. What a rule means, null above all, is told in
``docs/segments.md``. Reading rules is :mod:`catalog.pql`'s affair, and where profiles come from
is the caller's: nothing here knows of files, merging or memberships.
"""
