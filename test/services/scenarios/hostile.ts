/**
 * A client that breaks the protocol, each time in another way, beside one that keeps to it. The offender ends by asking for a new
 * connection, and finds the store as it was.
 */
import { defineScenario } from 'upcall';
import { Events, findXenstore, haltUntil, Xenstore, XenstoreError } from 'upcall/guest';

// Offsets in xenstore_domain_interface.
const REQ_CONS = 2048;
const REQ_PROD = 2052;
const RSP_CONS = 2056;
const ERROR = 2072;
const READ = 2;

export default defineScenario({
  name: 'hostile-xenstore-client',
  /** How: see below. */
  args: { offence: 'long payload', error: 3 },
  xenstore: true,
  domains: {
    offender: {
      guest(vcpu) {
        const { memory, hypercall } = vcpu;
        const { page, port } = findXenstore(vcpu);
        const store = new Xenstore(new Events(vcpu));
        store.write('data/before', 'kept');
        store.watch('data');
        const prod = memory.load32(page + REQ_PROD);
        switch (vcpu.domain.args.offence) {
          case 'long payload':
            // Its place in the ring is not a multiple of 4: start from where it is.
            for (let i = 0; i < 16; i++) {
              const header = [READ, 1, 0, 4097];
              memory.write8(page + ((prod + i) & 1023), ((header[i >> 2] as number) >>> ((i & 3) * 8)) & 255);
            }
            memory.store32(page + REQ_PROD, prod + 16);
            break;
          case 'request index far ahead':
            memory.store32(page + REQ_PROD, prod + 1025);
            break;
          case 'request index behind':
            memory.store32(page + REQ_PROD, prod - 1);
            break;
          case 'answer index ahead':
            memory.store32(page + RSP_CONS, memory.load32(page + RSP_CONS) + 1);
            break;
          case 'everything overwritten':
            for (let at = 0; at < 2064; at += 4) memory.write32(page + at, 0xdeadbeef);
            break;
        }
        if (vcpu.domain.args.offence !== 'answer index ahead') {
          // The store keeps its own index to itself.
          memory.store32(page + REQ_CONS, 0x12345678);
          hypercall.evtchn.send(port);
          haltUntil(vcpu, () => memory.load32(page + ERROR) !== 0);
        }
        try {
          store.read('data/before');
          vcpu.assert(false, 'the store has answered');
        } catch (error) {
          if (!(error instanceof XenstoreError)) throw error;
          vcpu.assert(error.code === 'ECONNRESET', error.message);
        }
        const code = memory.load32(page + ERROR);
        vcpu.assert(code === vcpu.domain.args.error, `error ${code}`);
        // More of the same changes nothing.
        hypercall.evtchn.send(port);
        hypercall.evtchn.send(port);
        store.reconnect();
        vcpu.assert(memory.load32(page + ERROR) === 0, 'the error is gone');
        return store.read('data/before');
      },
    },
    honest: {
      guest(vcpu) {
        const store = new Xenstore(new Events(vcpu));
        let sum = 0;
        for (let i = 0; i < 5; i++) {
          store.write('data/n', i);
          sum += Number(store.read('data/n'));
        }
        return sum;
      },
    },
  },
});
