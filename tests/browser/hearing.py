"""What a page with a player sounds like, for tests: caught behind its own sound, before the loudspeaker.

Rules: waiting is polling with a deadline; places are seconds of the recording.
"""

from __future__ import annotations

import time

import numpy as np
import numpy.typing as npt
from playwright.sync_api import Page

WITHIN_S = 10.0
HEARD_S = 0.04

EARS = """() => {
  const connect = AudioNode.prototype.connect;
  window.heard = []; window.handlers = {};
  AudioNode.prototype.connect = function (target, ...rest) {
    const context = this.context;
    if (target === context.destination) {
      if (!context.ear) {
        context.ear = context.createScriptProcessor(1024, 2, 1);
        window.heardHz = context.sampleRate;
        context.ear.onaudioprocess = (event) => {
          const [left, right] = [0, 1].map((channel) => event.inputBuffer.getChannelData(channel));
          for (let n = 0; n < left.length; n++) window.heard.push(left[n] + right[n]);
          if (window.heard.length > 4 * context.sampleRate) window.heard.splice(0, window.heard.length - 4 * context.sampleRate);
        };
        connect.call(context.ear, context.destination);
      }
      connect.call(this, context.ear);
    }
    return connect.call(this, target, ...rest);
  };
  if (navigator.mediaSession) navigator.mediaSession.setActionHandler = (name, act) => { window.handlers[name] = act; };
}"""
"""Catches what goes to the loudspeaker, and the keys of a headset that the page answers to."""


LISTEN = """async ([place, length, threshold]) => {
  const audio = document.querySelector("audio");
  const deadline = performance.now() + 5_000;
  const until = async (holds) => {
    while (!holds()) {
      if (performance.now() > deadline) return false;
      await new Promise((resolve) => setTimeout(resolve, 4));
    }
    return true;
  };
  audio.currentTime = place;
  await until(() => !audio.seeking && audio.readyState >= 2);
  window.heard = [];
  await audio.play();
  if (threshold < 0) {
    // What was muted fades within a moment; what is left after it counts.
    await until(() => audio.currentTime > place + 0.25);
    window.heard = [];
  }
  const onset = () => window.heard.findIndex((sample) => Math.abs(sample) > threshold);
  const complete = await until(() => onset() >= 0 && window.heard.length - onset() > length * window.heardHz);
  const begin = onset();
  const found = complete ? window.heard.slice(begin, begin + Math.round(length * window.heardHz)) : [];
  audio.pause();
  await until(() => audio.paused);
  return [window.heardHz, found];
}"""
"""Plays from a place and returns what was heard from the first sample above a threshold on."""

PACE = """async () => {
  const audio = document.querySelector("audio");
  audio.currentTime = 0;
  await audio.play();
  const wait = () => new Promise((resolve) => audio.addEventListener("timeupdate", resolve, { once: true }));
  await wait(); await wait();
  const [from, began] = [audio.currentTime, performance.now()];
  await wait(); await wait(); await wait();
  const pace = ((audio.currentTime - from) / (performance.now() - began)) * 1000;
  audio.pause();
  return pace;
}"""
"""How many seconds of the recording pass in a second."""


def until(page: Page, condition: str) -> None:
    """Wait until `condition` holds of the audio element `a`.

    Playwright's own waiting evaluates a text within the page, which its policy refuses.
    """
    ask = f"() => {{ const a = document.querySelector('audio'); return {condition}; }}"
    state = (
        "(a => [a.currentTime, a.readyState, a.seeking, a.paused, a.ended])(document.querySelector('audio'))"
    )
    deadline = time.monotonic() + WITHIN_S
    while not page.evaluate(ask):
        assert time.monotonic() < deadline, f"{condition} does not hold: {page.evaluate(state)}"
        page.wait_for_timeout(15)


def at_s(page: Page) -> float:
    return float(page.evaluate("document.querySelector('audio').currentTime"))


def settled(page: Page, wanted_s: float) -> None:
    """Wait until the element has sound where it was sent."""
    until(page, f"!a.seeking && a.readyState >= 2 && Math.abs(a.currentTime - {wanted_s}) < 0.06")


def awaken(page: Page) -> None:
    """Press play and pause: browsers, and so the player, make no sound ready before somebody presses."""
    page.click("[data-play]")
    until(page, "a.currentTime > 0.1")
    page.click("[data-play]")
    until(page, "a.paused")


def heard_hz(page: Page, place_s: float) -> float:
    """Go to a place and play; return the strongest frequency of the first 40 ms there, 0 for nothing."""
    rate_hz, samples = page.evaluate(LISTEN, [place_s, HEARD_S, 0.01])
    return pitch_hz(np.array(samples), int(rate_hz)) if samples else 0.0


def level(page: Page, place_s: float) -> float:
    """Return how loud a third of a second is there; the silence of A-law is a constant, and no sound."""
    _, samples = page.evaluate(LISTEN, [place_s, 0.3, -1])
    assert samples, f"nothing at all comes from the page at {place_s} s"
    return float(np.std(samples))


def pitch_hz(samples: npt.NDArray[np.float64], rate_hz: int) -> float:
    """Return the strongest frequency."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), rate_hz))
    return float(np.argmax(spectrum[100:3500]) + 100)
