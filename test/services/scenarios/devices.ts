/** A split device without a ring: two drivers that find each other by what the toolstack has put into the store. */
import { defineScenario } from 'upcall';
import { XenbusState } from 'upcall/abi';
import { Events, XenbusDevice, Xenstore } from 'upcall/guest';

const { XenbusStateInitialising, XenbusStateInitWait, XenbusStateInitialised, XenbusStateConnected } = XenbusState;
const { XenbusStateClosing, XenbusStateClosed } = XenbusState;

export default defineScenario({
  name: 'devices',
  xenstore: true,
  domains: {
    back: {
      daemon: true,
      guest(vcpu) {
        const store = new Xenstore(new Events(vcpu));
        const [front] = store.directory('backend/toy');
        const [id] = store.directory(`backend/toy/${front}`);
        const device = new XenbusDevice(store, `backend/toy/${front}/${id}`);
        device.publish({ 'feature-nothing': 1 }, XenbusStateInitWait);
        device.waitForOther(XenbusStateInitialised);
        vcpu.assert(device.readOther('answer') === '42', 'what the front end publishes comes with its state');
        device.switchState(XenbusStateConnected);
        device.waitForOther(XenbusStateClosing);
        device.switchState(XenbusStateClosed);
      },
    },
    front: {
      guest(vcpu) {
        const store = new Xenstore(new Events(vcpu));
        const device = new XenbusDevice(store, 'device/toy/0');
        vcpu.assert(device.state() === XenbusStateInitialising && device.read('colour') === 'grün', 'as it was made');
        device.waitForOther(XenbusStateInitWait);
        device.publish({ answer: 42 }, XenbusStateInitialised);
        device.waitForOther(XenbusStateConnected);
        device.switchState(XenbusStateClosing);
        device.waitForOther(XenbusStateClosed);
        return device.otherEndId;
      },
    },
  },
  setup({ xenstore, domains }) {
    const { back, front } = domains;
    const ends = { type: 'toy', id: 0, frontend: front!.id, backend: back!.id };
    xenstore.addDevice({ ...ends, frontendNodes: { colour: 'grün' } });
  },
});
