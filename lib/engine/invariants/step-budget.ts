/**
 * Upcalls and hypercalls end within a number of their own steps, whatever the others do. Counted on the vCPU itself
 * while it runs, since only there it is known where a hypercall or an upcall begins.
 *
 * An engine makes one for each run of a guest function and tells it of the brackets. It is scratch of that run: an
 * engine that runs the function anew makes a new one, and gets the same answers for the same steps.
 *
 * Leaves out: loops outside upcalls and hypercalls, and an upcall that neither ends nor makes a hypercall nor relaxes;
 * the engine's bound on the steps of an execution stops those.
 */

export interface StepLimits {
  readonly upcall: number;
  readonly hypercall: number;
}

interface Bracket {
  readonly name: string;
  readonly from: number;
  readonly limit: number;
}

export class StepBudget {
  private readonly open: Bracket[] = [];

  constructor(private readonly limits: StepLimits) {}

  /**
   * A hypercall or an upcall begins.
   * @param name - of the hypercall; 'upcall'
   * @param position - number of steps the vCPU has made
   */
  enter(name: string, position: number): void {
    this.open.push({ name, from: position, limit: name === 'upcall' ? this.limits.upcall : this.limits.hypercall });
  }

  /** What began last ends. Returns what is wrong, if anything is. */
  exit(position: number): string | undefined {
    const broken = this.look(position);
    this.open.pop();
    return broken;
  }

  /** Any other moment: is something under way that has taken too long? */
  look(position: number): string | undefined {
    const over = this.open.find(({ from, limit }) => position - from > limit);
    if (over === undefined) return undefined;
    return `${over.name === 'upcall' ? 'an upcall' : over.name} has taken more than ${over.limit} steps`;
  }
}
