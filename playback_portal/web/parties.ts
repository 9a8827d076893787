// One party heard or not: the buttons beside the lanes, and what they show.

import type { Parts } from "./parts";

export class Parties {
  constructor(private readonly parts: Parts) {
    if (parts.sound.separable) for (const button of this.buttons()) button.hidden = false;
  }

  mute(channel: number): void {
    this.change(channel, () => this.parts.sound.mute(channel));
  }

  solo(channel: number): void {
    this.change(channel, () => this.parts.sound.solo(channel));
  }

  private change(channel: number, act: () => void): void {
    const { call, root, sound } = this.parts;
    if (channel >= call.channels.length || !sound.separable) return;
    void sound.wake().then(() => {
      act();
      for (const button of this.buttons()) {
        const muted = sound.isMuted(Number(button.dataset["mute"]));
        button.setAttribute("aria-pressed", String(muted));
        button.querySelector("use")!.setAttribute("href", root.dataset[muted ? "muteIcon" : "soundIcon"]!);
      }
    });
  }

  private buttons(): NodeListOf<HTMLElement> {
    return this.parts.root.querySelectorAll<HTMLElement>("[data-mute]");
  }
}
