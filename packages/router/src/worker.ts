/** Entry of a worker process of `RouterCluster`; of no use by itself. */
import { runWorker } from "./cluster/worker.ts";

runWorker();
