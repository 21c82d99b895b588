/** What a vCPU counts in a storm of events. Each port has a mail word: what is sent and not yet taken. */
import type { Vcpu, Word } from '../../../lib/guest';

export class Tally {
  /** Sends to any port. */
  sends = 0;
  /** Runs of this vCPU's handlers. */
  handled = 0;
  /** Sends that its handlers have taken note of. */
  taken = 0;

  constructor(private readonly vcpu: Vcpu) {}

  /** The mail first: whoever handles the event finds it. */
  send(port: number, mail: Word): void {
    mail.add(1);
    this.vcpu.hypercall.evtchn.send(port);
    this.sends++;
  }

  /** A handler for the port of a mail word. A run that finds none is in order: the run before took it. */
  handlerOf(mail: Word): () => void {
    return () => {
      this.handled++;
      this.taken += mail.exchange(0);
    };
  }

  /** What the guest returns. */
  result(): StormCounts {
    const { sends, handled, taken } = this;
    return { sends, handled, taken };
  }
}

export interface StormCounts {
  readonly sends: number;
  readonly handled: number;
  readonly taken: number;
}

/** Everything is told when every vCPU has added itself to `words`: waits for that, taking events. */
export function awaitAll(vcpu: Vcpu, count: Word): void {
  while (count.load() < vcpu.domain.vcpus) vcpu.relax();
}
