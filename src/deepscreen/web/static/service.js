// Space in use is counted while the page is there already.
import { fill } from "./api.js";

fill(document.getElementById("storage"), "/service/storage");
