// The parties of a call apart: each channel of the sound through its own valve (Web Audio).
// It is built at the first press of play, because browsers start no sound before.

const PAN = 0.35;

export class Sound {
  private gains: GainNode[] = [];
  private context: AudioContext | null = null;
  private muted = new Set<number>();

  constructor(
    private readonly audio: HTMLAudioElement,
    private readonly channels: number,
  ) {}

  /** Whether parties can be heard apart at all. */
  get separable(): boolean {
    return this.channels > 1 && "AudioContext" in window;
  }

  isMuted(channel: number): boolean {
    return this.muted.has(channel);
  }

  /** Make ready to sound; call it when a person pressed something. */
  async wake(): Promise<void> {
    if (!this.separable) return;
    if (this.context === null) this.build();
    if (this.context!.state === "suspended") await this.context!.resume();
  }

  mute(channel: number): void {
    if (this.muted.has(channel)) this.muted.delete(channel);
    else this.muted.add(channel);
    this.apply();
  }

  /** Hear one party alone; again brings the others back. */
  solo(channel: number): void {
    const others = Array.from({ length: this.channels }, (_, each) => each).filter((each) => each !== channel);
    const alone = !this.muted.has(channel) && others.every((each) => this.muted.has(each));
    this.muted = new Set(alone ? [] : others);
    this.apply();
  }

  private build(): void {
    this.context = new AudioContext();
    const source = this.context.createMediaElementSource(this.audio);
    const splitter = this.context.createChannelSplitter(this.channels);
    source.connect(splitter);
    for (let channel = 0; channel < this.channels; channel++) {
      const gain = this.context.createGain();
      // Slightly apart, as two people at a table; wholly left and right tires the ears.
      const pan = this.context.createStereoPanner();
      pan.pan.value = this.channels === 2 ? (channel === 0 ? -PAN : PAN) : 0;
      splitter.connect(gain, channel);
      gain.connect(pan).connect(this.context.destination);
      this.gains.push(gain);
    }
    this.apply();
  }

  private apply(): void {
    this.gains.forEach((gain, channel) => gain.gain.setTargetAtTime(this.muted.has(channel) ? 0 : 1, this.context!.currentTime, 0.01));
  }
}
