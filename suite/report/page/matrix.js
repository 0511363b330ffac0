"use strict";
/* Every backend in every case. */
function drawMatrix() {}
