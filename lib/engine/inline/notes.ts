/** Things there is no taking back, put off until the execution they belong to has proven right. */
export class Notes {
  private pending: { readonly event: number; readonly act: () => void }[] = [];

  /** @param event - that has to prove right */
  add(event: number, act: () => void): void {
    this.pending.push({ event, act });
  }

  /** Events from this one on did not happen. */
  takeBack(event: number): void {
    if (this.pending.length > 0) this.pending = this.pending.filter((note) => note.event < event);
  }

  /** All events did happen. */
  settle(): void {
    if (this.pending.length === 0) return;
    for (const note of this.pending) note.act();
    this.pending = [];
  }
}
