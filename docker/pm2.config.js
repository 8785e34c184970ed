// pm2 start docker/pm2.config.js --only miner          (or: --only producer,validator), from the repository after `make setup`.
// Settings are variables (assay miner --help): ASSAY_MINER_NETUID, BT_WALLET_NAME, BT_WALLET_HOTKEY, BT_AXON_EXTERNAL_IP, ...
// pm2 keeps the variables of the shell that starts it. Logs: pm2 logs miner; pm2 install pm2-logrotate bounds them.

const path = require("path");

const root = path.resolve(__dirname, "..");
const program = (name, args) => ({
  name,
  script: path.join(root, ".venv/bin/assay"),
  args: [name, ...args],
  interpreter: "none",
  cwd: root,
  exec_mode: "fork",
  instances: 1,                     // never two validators or miners on one hotkey
  autorestart: true,
  exp_backoff_restart_delay: 1000,  // up to 15 s between starts
  kill_timeout: 60000,              // SIGINT, then a minute for the round in hand
  treekill: false,                  // children end with their program
});

module.exports = {
  apps: [
    program("miner", []),
    program("replicas", []),          // of a miner with ASSAY_MINER_DETECTOR_ADDRESS
    program("producer", []),
    program("validator", ["--metrics_port", "9101"]),
  ],
};
