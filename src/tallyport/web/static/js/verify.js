// Asks the server whether a line of the record was changed or taken away.
import { call, say } from "./api.js";
document.addEventListener("click", async (event) => {
  if (!event.target.closest("[data-verify]")) return;
  try {
    const { data } = await call("GET", "/v1/audit/verify");
    if (data.intact) say("Every line is what was written, and none is missing.", "success");
    else say(`Line ${data.firstBroken} is not what was written, or one before it is missing.`, "danger");
  } catch (problem) { say(problem.message, "danger"); }
});
