"""Evaluations in the audit log, in words: what was done with one, with the forms and with the samples.

Rules: as `playback_portal.deeds`, which takes them over; those on one recording stand in its
history too, and tell that somebody evaluated, never how.
"""

from __future__ import annotations

from collections.abc import Mapping

from playback_portal.language import mark

DEEDS: Mapping[str, str] = {
    "evaluation.begun": mark("began an evaluation"),
    "evaluation.answered": mark("answered questions of an evaluation"),
    "evaluation.released": mark("released an evaluation"),
    "evaluation.withdrawn": mark("withdrew a draft of an evaluation"),
    "evaluation.acknowledged": mark("has seen an evaluation"),
    "evaluation.disputed": mark("disputed an evaluation"),
    "evaluation.settled": mark("settled a dispute about an evaluation"),
    "evaluation.viewed": mark("looked at an evaluation"),
    "evaluation.history-viewed": mark("looked at earlier values of an evaluation"),
    "evaluations.listed": mark("looked at results of evaluations"),
    "evaluations.viewed": mark("looked at the evaluations of a recording"),
    "evaluation-form.added": mark("made an evaluation form"),
    "evaluation-form.begun": mark("began an evaluation form"),
    "evaluation-form.changed": mark("changed an evaluation form"),
    "evaluation-form.drafted": mark("worked on an evaluation form"),
    "evaluation-form.retired": mark("changed whether an evaluation form is offered"),
    "evaluation-form.viewed": mark("looked at an evaluation form"),
    "evaluation-form.versions-viewed": mark("looked at the versions of an evaluation form"),
    "evaluation-forms.listed": mark("looked at the evaluation forms"),
    "evaluation-policy.changed": mark("changed whether results of few are told"),
    "evaluation-sample.drawn": mark("drew a sample"),
    "evaluation-sample.viewed": mark("looked at a sample"),
    "evaluation-samples.listed": mark("looked at the samples"),
}
