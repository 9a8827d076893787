// What a player stands on: the elements of its page, its call, and the picture and sound of it.

import type { Call, Words } from "./call";
import { Sound } from "./sound";
import { Wave } from "./wave";

export class Parts {
  readonly call: Call;
  readonly words: Words;
  readonly audio: HTMLAudioElement;
  readonly slider: HTMLElement;
  readonly play: HTMLButtonElement;
  readonly wave: Wave;
  readonly sound: Sound;

  constructor(readonly root: HTMLElement) {
    this.call = JSON.parse(root.dataset["call"]!) as Call;
    this.words = JSON.parse(root.dataset["words"]!) as Words;
    this.audio = this.need("audio");
    this.slider = this.need(".slider");
    this.play = this.need("[data-play]");
    this.wave = new Wave(this.need("svg.lanes"), this.call, this.words);
    this.sound = new Sound(this.audio, this.call.channels.length);
  }

  need<T extends Element>(selector: string): T {
    return this.root.querySelector<T>(selector)!;
  }

  /** Say something of what was done, for those who hear it said too. */
  tell(text: string): void {
    this.need<HTMLElement>("[data-told]").textContent = text;
  }

  /** Say what went wrong; "" when nothing does any more. */
  fault(text: string): void {
    this.need<HTMLElement>("[data-fault-text]").textContent = text;
    this.need<HTMLElement>("[data-fault]").hidden = text === "";
  }
}
