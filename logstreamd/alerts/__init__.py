"""Rules over what is stored → alerts that fire once, say why, and resolve.

=================== ===================================================================================
``rule_file``       YAML files → rules, or every mistake at its place (``rule``, ``condition``, ``template``)
``measure``         the question a rule asks of the stored lines; ``rollup``: which ones counts can answer
``evaluate``        rule, state, time, answer → new state and what changed; no I/O (``state``, ``snapshot``)
``scheduler``       when; ``lead``: which of several daemons; ``evaluator``: one evaluation, from question to outbox
``journal``         what is recorded before anybody is told, and in which order; ``silence``: what is told to nobody
``delivery``        alerts → messages → notifiers, at least once
``views``           rules and alerts as people see them
``rule_tests``      the unit tests of rule files
``alert``           what notifiers and the API are handed
=================== ===================================================================================
"""
