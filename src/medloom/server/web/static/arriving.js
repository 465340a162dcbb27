// Large volumes while they come: how far they are stands at the foot of the stage, with a button to stop and to go on.

export class Arriving {
  constructor(root, volumes, say, redraw) {
    Object.assign(this, { say, redraw });
    this.volumes = volumes.filter((one) => one?.loading);
    this.box = root.querySelector(".viewer-message");
    this.button = this.box.querySelector("button");
  }

  // Brings one after the other, unless it is stopped.
  async go() {
    this.box.classList.add("is-below");
    for (const { loading } of this.volumes) {
      this.loading = loading;
      try {
        await loading.go(() => this.tell());
      } catch {
        loading.stop();
        this.tell("failed");
        return;
      }
      this.tell();
      if (loading.stopped) return;
    }
  }

  turn() {
    if (this.loading.stopped) this.go();
    else this.loading.stop();
  }

  tell(word) {
    const { stopped, share } = this.loading;
    const percent = Math.floor(100 * share);
    this.box.hidden = percent >= 100;
    this.button.hidden = false;
    this.button.textContent = this.say(stopped ? "go_on" : "stop");
    this.box.firstElementChild.textContent = this.say(word ?? (stopped ? "stopped" : "loading_part"), { percent });
    this.redraw();
  }
}
