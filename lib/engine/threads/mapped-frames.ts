/**
 * What a domain has mapped of others', for its guest's memory on a free-running thread: the word of the page, read anew for
 * each access, and the memory of the domain that it names.
 */
import { type DomainImage, type MachineImage, privateLayout } from '../../hypervisor/image';
import { AtomicsMemory } from '../../memory/atomics-memory';
import { inWindow, mappedDomainIndex, windowPage } from '../../memory/grant-window';

export class MappedFrames {
  /** Of the window. */
  readonly pages: number;
  private readonly words: Int32Array;
  /** By the domains' positions in the machine. */
  private readonly memories: readonly AtomicsMemory[];

  constructor(image: MachineImage, domainIndex: number) {
    const domain = image.domains[domainIndex] as DomainImage;
    this.pages = domain.config.grantMappings;
    const { window } = privateLayout(domain.config, image.options.irqs);
    this.words = new Int32Array(domain.private, window, this.pages);
    this.memories = image.domains.map(({ guest }) => new AtomicsMemory(guest));
  }

  contains(address: number, length: number): boolean {
    return inWindow(address, length, this.pages);
  }

  /** The word for an address in the window. */
  wordFor(address: number): number {
    return Atomics.load(this.words, windowPage(address));
  }

  memoryOf(word: number): AtomicsMemory {
    return this.memories[mappedDomainIndex(word)] as AtomicsMemory;
  }
}
